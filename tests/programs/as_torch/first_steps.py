"""Tensors and gradients as an introduction to PyTorch shows them. Prints; draws nothing that is printed."""

import numpy as np
import torch

scalar, vector, matrix = torch.tensor(2.5), torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[1, 2, 3], [4, 5, 6]])
print(scalar, vector, matrix, matrix.shape, matrix.dtype, sep="\n")
print(torch.zeros(3, 4), torch.ones((2, 3)), torch.randn(3, 4).shape, torch.rand((2, 3)).dtype, sep="\n")
print(torch.from_numpy(np.array([[5, 6], [7, 8]])))
a, b = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0])
print(a + b, a - b, a * b, a / b, torch.dot(a, b), sep="\n")
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
print(a.to(device).cpu().numpy(), f"{a.shape} {a.dtype} {a.device}")
print(torch.arange(12), torch.arange(12).reshape(3, 4), sep="\n")
print(torch.backends.mps.is_available())

x = torch.tensor(3.0, requires_grad=True)
y = x**2 + 2 * x + 1
y.backward()
print(y, x.grad)
x = torch.ones(2, 2, requires_grad=True)
print(x, x + 2, sep="\n")
z = (x + 2) * (x + 2) * 3
out = z.mean()
out.backward()
print(z, out, x.grad, sep="\n")
w, bias = torch.randn(4, 3, requires_grad=True), torch.randn(3, requires_grad=True)
(torch.randn(10, 4) @ w + bias).sum().backward()
print(w.grad.shape, bias.grad)
with torch.no_grad():
    print((torch.ones(2, 2, requires_grad=True) + 2).requires_grad)
