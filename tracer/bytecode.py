"""What is known about CPython bytecode of 3.11, 3.12 and 3.13: decoding, normalising, stack flow, assembling.

All differences between the versions lie in this file. `decode` gives the real instructions, `normalised` gives a small
instruction set that is the same for all versions (`OPCODES`), `assemble` turns real instructions into a code object.
Never runs user code and never looks at values.

The normalised instruction set
------------------------------
A frame has *slots* (locals, then cells, then free variables; `slot_names`) and a value stack that lies exactly as in CPython,
NULLs included. A slot holds what CPython keeps there: for a cell or free variable the raw cell. ``s[-1]`` is the top.

====================== ================ =============================================================================
op                     arg              meaning
====================== ================ =============================================================================
NOP                    None             nothing
POP_TOP                None             pop
PUSH_NULL              None             push NULL
COPY                   n                push s[-n]
SWAP                   n                exchange s[-1] and s[-n]
LOAD_CONST             value            push value
LOAD_FAST              slot             push the slot's content (a raw cell too); UnboundLocalError where unbound
LOAD_FAST_AND_CLEAR    slot             push the slot's content, or NULL where unbound; the slot is then unbound
STORE_FAST             slot             pop into the slot; a popped NULL makes the slot unbound
DELETE_FAST            slot             make unbound; UnboundLocalError where it is
MAKE_CELL              slot             put a new cell around the slot's content (empty where unbound)
COPY_FREE_VARS         n                put the function's closure into the last n slots
LOAD_DEREF             slot             push the content of the cell in the slot; NameError where empty
STORE_DEREF            slot             pop into the cell in the slot
DELETE_DEREF           slot             empty the cell in the slot
LOAD_GLOBAL            name             push a global or builtin
STORE_GLOBAL           name             pop into a global
DELETE_GLOBAL          name             delete a global
LOAD_ATTR              name             pop object, push object.name
STORE_ATTR             name             pop object, pop value; object.name = value
DELETE_ATTR            name             pop object; del object.name
LOAD_SUPER_ATTR        name             pop self, class, super; push super(class, self).name
LOAD_ASSERTION_ERROR   None             push AssertionError
LOAD_BUILD_CLASS       None             push builtins.__build_class__
IMPORT_NAME            name             pop fromlist, level; push the module
IMPORT_FROM            name             push s[-1].name; the module stays
UNARY_OP               '-' '+' '~'      pop x, push op x (`UNARY`)
UNARY_NOT              None             pop a bool, push its negation
TO_BOOL                None             pop x, push bool(x)
BINARY_OP              '+' .. '**='     pop b, pop a, push a op b (`BINARY`)
BINARY_SUBSCR          None             pop key, pop object, push object[key]
STORE_SUBSCR           None             pop key, pop object, pop value; object[key] = value
DELETE_SUBSCR          None             pop key, pop object; del object[key]
COMPARE_OP             '<' .. '>='      pop b, pop a, push a op b (`COMPARE`); a truth test is a TO_BOOL of its own
IS_OP                  invert           pop b, pop a, push (a is b) != invert
CONTAINS_OP            invert           pop b, pop a, push (a in b) != invert
BUILD_TUPLE            n                also BUILD_LIST, BUILD_SET, BUILD_STRING: pop n items
BUILD_MAP              n                pop n key, value pairs
BUILD_CONST_KEY_MAP    n                pop the tuple of keys, then n values
BUILD_SLICE            2 or 3           pop (step,) stop, start
LIST_APPEND            n                pop x; s[-n].append(x), counted after the pop; SET_ADD alike
MAP_ADD                n                pop value, key; s[-n][key] = value
LIST_EXTEND            n                pop x; s[-n].extend(x); SET_UPDATE, DICT_UPDATE, DICT_MERGE (refuses doubles) alike
LIST_TO_TUPLE          None             pop list, push tuple
UNPACK_SEQUENCE        n                pop, push n items, the first on top
UNPACK_EX              (before, after)  pop, push items and a list between them, the first on top
CONVERT_VALUE          's' 'r' 'a'      pop x, push str(x), repr(x) or ascii(x)
FORMAT                 has_spec         pop spec if has_spec (else ''), pop x, push format(x, spec)
MAKE_FUNCTION          None             pop code, push a function
SET_FUNCTION_ATTRIBUTE which            pop function, pop value, push function; 'defaults' 'kwdefaults' 'annotations' 'closure'
CALL                   CallShape        `call_operands` pops the operands; push the result
CALL_EX                has_kwargs       `call_ex_operands` pops the operands; push the result
GET_ITER               None             pop x, push iter(x)
FOR_ITER               None, target     push next(s[-1]); exhausted: pop the iterator, go to target
GET_LEN                None             push len(s[-1])
MATCH_MAPPING          None             push whether s[-1] is a mapping; MATCH_SEQUENCE alike
MATCH_KEYS             None             push a tuple of s[-2][k] for k in s[-1], or None; MATCH_CLASS arg n: see `dis`
JUMP                   None, target     go to target; `backward` tells a loop
POP_JUMP_IF_FALSE      None, target     pop a bool; go to target if it is False; POP_JUMP_IF_TRUE alike
POP_JUMP_IF_NONE       None, target     pop x; go to target if it is None; POP_JUMP_IF_NOT_NONE alike
RETURN_VALUE           None             pop and return
RAISE_VARARGS          0, 1 or 2        raise, pop (cause,) exception
RERAISE                lasti at -n or 0 pop and raise again, the traceback as it is
PUSH_EXC_INFO          None             pop exc, push the exception handled so far, push exc; exc is now handled
POP_EXCEPT             None             pop the exception handled before; it is handled again
CHECK_EXC_MATCH        None             pop type, push whether s[-1] matches it
BEFORE_WITH            None             pop manager, push its bound __exit__, push __enter__()
WITH_EXCEPT_START      None             push s[-4](type(e), e, e.__traceback__) for e = s[-1]
RETURN_GENERATOR       None             the frame becomes a generator; a POP_TOP follows
YIELD_VALUE            None             pop and yield; push what is sent
GET_YIELD_FROM_ITER    None             pop x, push x if it is a generator else iter(x)
SEND                   None, target     pop v, push s[-1].send(v); at its end: pop the iterator, push the value, go to target
STOPITERATION_ERROR    None             pop exc, push RuntimeError for a StopIteration that leaves a generator
UNKNOWN                real op name     not modelled, in `NOT_MODELLED` or new: a graph break
====================== ================ =============================================================================

One real instruction may become several steps. A graph break is only possible where `Step.begins` is true, at the start of a unit
of instructions that cannot be parted; an interpreter keeps the frame as it was there and rolls back to it.
"""

from __future__ import annotations

OPCODES: tuple[str, ...] = tuple(
    """NOP POP_TOP PUSH_NULL COPY SWAP LOAD_CONST LOAD_FAST LOAD_FAST_AND_CLEAR STORE_FAST DELETE_FAST MAKE_CELL COPY_FREE_VARS
    LOAD_DEREF STORE_DEREF DELETE_DEREF LOAD_GLOBAL STORE_GLOBAL DELETE_GLOBAL LOAD_ATTR STORE_ATTR DELETE_ATTR LOAD_SUPER_ATTR
    LOAD_ASSERTION_ERROR LOAD_BUILD_CLASS IMPORT_NAME IMPORT_FROM UNARY_OP UNARY_NOT TO_BOOL BINARY_OP BINARY_SUBSCR
    STORE_SUBSCR DELETE_SUBSCR COMPARE_OP IS_OP CONTAINS_OP BUILD_TUPLE BUILD_LIST BUILD_SET BUILD_STRING BUILD_MAP
    BUILD_CONST_KEY_MAP BUILD_SLICE LIST_APPEND SET_ADD MAP_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE LIST_TO_TUPLE
    UNPACK_SEQUENCE UNPACK_EX CONVERT_VALUE FORMAT MAKE_FUNCTION SET_FUNCTION_ATTRIBUTE CALL CALL_EX GET_ITER FOR_ITER GET_LEN
    MATCH_MAPPING MATCH_SEQUENCE MATCH_KEYS MATCH_CLASS JUMP POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE POP_JUMP_IF_NONE
    POP_JUMP_IF_NOT_NONE RETURN_VALUE RAISE_VARARGS RERAISE PUSH_EXC_INFO POP_EXCEPT CHECK_EXC_MATCH BEFORE_WITH
    WITH_EXCEPT_START RETURN_GENERATOR YIELD_VALUE GET_YIELD_FROM_ITER SEND STOPITERATION_ERROR UNKNOWN""".split()
)
