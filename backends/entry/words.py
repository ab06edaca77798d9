"""Numbers shared by the entry's machine code and the tables it walks. Every table is an array of 64-bit words."""

from __future__ import annotations

#: table of one installed function: what a thunk's slot points to. PLAIN: the number of arguments that bind by position
#: alone, -1 where there are keyword-only ones. NNAMED: parameters with a name in a call; then come ``*args`` at VARARGS and
#: ``**kwargs`` at VARKW, -1 where there are none. EMPTY: a dict to be lent as ``**kwargs``, or null. MISS: null once the owner
#: is gone; then ORIGINAL, the function's own vectorcall, runs it
(E_MISS, E_FIRST, E_API, E_NPOS, E_NPARAMS, E_NAMES, E_DEFAULTS, E_BIND, E_NFRAME, E_PLAIN, E_NNAMED, E_VARARGS, E_VARKW,
 E_EMPTY, E_ORIGINAL) = range(15)  # fmt: skip
E_WORDS = 15

#: table of one variant. Of one for a GPU: HOLD: list of (frame word, owned word) of its inputs' storages; BLOCKS: the first of
#: NBLOCKS pairs of words for memory that a call takes
(T_OWNER, T_NEXT, T_CONSTS, T_NCONSTS, T_CONST_AT, T_PROGRAM, T_OWNED, T_NOWNED, T_HITS, T_ARENA, T_ARENA_BYTES, T_ARENA_AT,
 T_ON_ERROR, T_TAIL, T_HOLD, T_BLOCKS, T_NBLOCKS) = range(17)  # fmt: skip
T_WORDS = 17

#: table of the process
(A_VECTORCALL, A_DECREF, A_NONE, A_TRUE, A_FALSE, A_FLOAT, A_INT, A_NDARRAY, A_TENSOR, A_TP_ALLOC, A_NEW_ARRAY, A_SET_BASE,
 A_DICT_GET, A_DICT_HAS, A_DICT_NEXT, A_SET_SIZE, A_GET_DICT, A_ERR_CLEAR, A_EQUAL, A_LONG_AS, A_LONG_FROM, A_TUPLE_NEW,
 A_TSS_GET, A_GRAD_KEY, A_SAVE, A_RESTORE, A_U8, A_S_META, A_S_ARRAY, A_S_STORAGE, A_S_OFFSET, A_S_GRAD, A_S_NODE, A_S_VERSION,
 A_NEW_META, A_DIMS, A_DICT_NEW, A_M_KIND, A_M_RAW, A_POOL_RUN, A_POOL,
 A_BLOCKS, A_BLOCK_NEW, A_BLOCK_DROP, A_HANDLER,
 A_DEVICE, A_WATCHED, A_MEMORY, A_THREAD_KEY, A_ZERO, A_GIVE_BACK, A_INT_AS, A_LIST_APPEND, A_ERR_FETCH, A_ERR_RESTORE,
 A_D_ADDRESS, A_D_BASE, A_D_GPU, A_D_MEMORY, A_D_NBYTES, A_Y_BLOCK, A_Y_ADDRESS, A_B_ADDRESS, A_B_SIZE, A_B_ASKED, A_B_USERS,
 A_B_BIN, A_N_BLOCKS, A_N_WORDS, A_COUNT) = range(70)  # fmt: skip
A_WORDS = 70

#: table of a GPU program: BLOCKS it needs, of which the first OUTPUTS are results, and (list of its bin, int object of its bytes)
#: of each; free FRAMES; READS: (frame word, number to add) of each of SLOTS; numbers of the NSINGLES slots that are f32; the
#: launcher, the driver's entry point, what Python is asked: MORE(number) a block, FRAME() a free frame, REFUSED(what the
#: launcher said), REMAP(frame); the first of its RECORDINGS, the driver's entry point that runs one
(P_BLOCKS, P_OUTPUTS, P_BINS, P_COUNTS, P_FRAMES, P_SLOTS, P_READS, P_NSINGLES, P_SINGLES, P_LAUNCH, P_DRIVER, P_MORE, P_FRAME,
 P_REFUSED, P_REMAP, P_METAS, P_GPU, P_RECORDINGS, P_GRAPH) = range(19)  # fmt: skip
P_WORDS = 19

#: a recording of a GPU program: the next one, the driver's graph, COUNT (frame word, its value) that it was made for, the Memory
#: objects of its results
R_NEXT, R_GRAPH, R_COUNT, R_PAIRS, R_MEMORIES = range(5)
R_WORDS = 5

#: a frame of a GPU program: the next free one, its slots, its launches, and (slot, address described) of its tensor maps
F_NEXT, F_SLOTS, F_ROWS, F_COUNT, F_MAPS, F_NMAPS = range(6)
F_WORDS = 6

#: instructions: rows of four words (op | dest << 8, a, b, c); V is the frame, V[0..parameters) the bound arguments
OPS: tuple[str, ...] = (
    # loads; a failed one is a miss
    "load",  # V[dest] = word at V[a] + b, which is not null
    "field",  # V[dest] = word at V[a] + b
    "instance_dict",  # V[dest] = the dict of instance V[a], found at offset b; c: rows since the first
    "dict_get",  # V[dest] = V[a][object b], V[a] a dict
    "item",  # V[dest] = V[a][object b], c the same as a number: dict, list or tuple
    "strings",  # all keys of dict V[a] are str: looking for one runs no Python
    "memo",  # memory a holds what `learn` saw for object V[dest] by template b: fill in words, leave out the next c rows
    "learn",  # write down in memory a, for object V[dest], the words that template b names
    "meta",  # V[a] is of type b with meta c
    "tensor",  # V[a] is of type b with meta c; V[dest] = its array, V[dest + 1] = address of its data
    "array",  # V[dest] = array of tensor V[a], V[dest + 1] = address of its data
    "writable",  # array V[a] may be written to
    # sizes known at the call. like: V[a] is of type b; list c: kind, count n, n sizes (WILD: any): V[dest] = its array,
    # V[dest + 1] = address of its data, then its n dims and strides
    "like",
    "like_meta",  # as `like`, of a tensor without an array: V[dest] and V[dest + 1] stay
    "same", "differ", "at_most", "less",  # V[a] == V[b], V[a] != V[b], V[a] <= V[b], V[a] < V[b]
    # numbers of the caller's: a miss where CPython's result is none of 64 bits
    "add_int", "sub_int", "mul_int", "to_float", "add_float", "sub_float", "mul_float", "div_float", "sqrt_float",
    "libm1", "libm2",  # V[dest] = function c of V[a], or of V[a], which is above 0, and V[b]; all of them finite
    "positive",  # V[a] > 0
    "less_float", "at_most_float", "same_float",  # whether they hold is c
    # guards
    "type", "is", "float_is", "float_nan", "int_is", "equal", "length", "keys", "lacks", "grad", "callee", "pattern",
    # guards that may run Python
    "version", "callback", "remembered",
    # weak scalars: V[dest] = bits of V[a]
    "float", "int", "bool",
    # plans of a GPU: where a tensor lies, this thread's stream, the program for a call's sizes, stream and alignments
    "place", "context", "program",
    "replay",  # run what was recorded for just these addresses and numbers
    # a hit
    "take", "launch", "make_device", "make_loan",
    "begin", "threads", "hold", "add", "mul", "floordiv", "mod", "min", "max",
    "alloc", "block", "arena", "view", "kernel", "gemm", "python", "save",
    "restore", "bump", "make", "make_like", "seen", "long", "call", "tuple", "tail", "ret",
)  # fmt: skip
OP: dict[str, int] = {name: i for i, name in enumerate(OPS)}

#: in a list of expected sizes: any
WILD = -(1 << 63)
#: Metas that a result of a size known at the call remembers
METAS = 8
#: programs that a variant for a GPU finds without asking Python
PROGRAMS = 64

THUNKS = 64
