"""Things beside the model. `utils.data` feeds it."""
