"""CPU work in subprocesses that can be killed.

::

    worker (asyncio) ──socketpair── child: runs the functions, a process group of its own
          │                           │ parent of
          └──────lifeline pipe───── guard: kills the child's group when the lifeline closes, watches its memory

The worker starts the guard with a fresh interpreter and the guard forks the child before it has any thread. The
guard stands outside the group it kills, so that it is there to reap it: no zombie is left, and none of the child's
descendants, although the worker may be gone (SIGKILL) and the child stuck in C code.

The functions may use :mod:`consumers.cpu.task`; the worker uses :class:`consumers.cpu.pool.CpuPool`.
"""
