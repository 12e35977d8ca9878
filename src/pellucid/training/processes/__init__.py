"""Several processes that train one model, on one machine or more, started by ``torchrun`` or by the first of them.

    ranks.py      what a process asks of the others: sums, decisions of the first, gradients
    local.py      start the others on this machine, where no launcher did
    exchange.py   gradients are added over all processes in buckets, while backward goes on
    lives.py      which process gives a sign of life, so that an error can name the one that does not
    watchdog.py   a step that hangs ends the process, after it showed where every thread was

Read ``ranks.py`` first.
"""
