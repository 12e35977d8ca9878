"""What pellucid says about a training run beforehand and while it runs, and whether it was true.

``dry_run`` predicts time, memory and disk. ``watching`` judges the learning curve at each validation by the rules of
``signs``. ``checking`` compares the finished model with the scores that its recipe promises. Nothing here trains.
"""
