"""How text is cut into pieces for a store, on all cores.

    cutting.py   from some pairs to the arrays of a store
    child.py     a process that does so
    crew.py      several of them, whose results come back in order
    reuse.py     the rows of an earlier store that are copied instead

Read ``../store.py`` first, which writes what they return.
"""
