"""List the fixed phrases that templates share: times, places, and which verbs fit which kind of sentence.

Phrases are (English, French) pairs; spaces separate the words, and the French is not elided yet ("la année").
"""

Phrase = tuple[str, str]

EVERY: tuple[Phrase, ...] = (
    ("every day", "tous les jours"), ("every morning", "tous les matins"), ("every week", "toutes les semaines"),
    ("on Saturdays", "le samedi"), ("on Sundays", "le dimanche"), ("on Mondays", "le lundi"),
    ("every evening", "tous les soirs"), ("in the morning", "le matin"), ("in the evening", "le soir"),
    ("after work", "après le travail"), ("before lunch", "avant le déjeuner"),
)  # fmt: skip
AGO: tuple[Phrase, ...] = (
    ("yesterday", "hier"), ("yesterday morning", "hier matin"), ("yesterday evening", "hier soir"),
    ("this morning", "ce matin"), ("two days ago", "il y a deux jours"), ("last Saturday", "samedi dernier"),
    ("last week", "la semaine dernière"), ("last month", "le mois dernier"), ("a week ago", "il y a une semaine"),
    ("three months ago", "il y a trois mois"), ("last summer", "le été dernier"),
)  # fmt: skip
PAST_DAYS: tuple[Phrase, ...] = (
    ("yesterday", "hier"), ("yesterday morning", "hier matin"), ("this morning", "ce matin"),
    ("yesterday evening", "hier soir"), ("last Saturday", "samedi dernier"), ("last week", "la semaine dernière"),
    ("last month", "le mois dernier"), ("last year", "la année dernière"),
)  # fmt: skip
SOON: tuple[Phrase, ...] = (
    ("tomorrow", "demain"), ("tomorrow morning", "demain matin"), ("tomorrow evening", "demain soir"),
    ("after lunch", "après le déjeuner"), ("next Saturday", "samedi prochain"), ("in two days", "dans deux jours"),
    ("next week", "la semaine prochaine"), ("next month", "le mois prochain"), ("next summer", "le été prochain"),
)  # fmt: skip
AT_PRESENT: tuple[Phrase, ...] = (("at the moment", "en ce moment"), ("now", "maintenant"))
OFTEN: tuple[Phrase, ...] = (("often", "souvent"), ("always", "toujours"), ("sometimes", "parfois"))
TRAVEL: tuple[Phrase, ...] = (
    ("by train", "en train"), ("by bus", "en bus"), ("by car", "en voiture"), ("by bicycle", "à vélo"),
    ("on foot", "à pied"),
)  # fmt: skip
HOURS: tuple[Phrase, ...] = tuple(
    (f"{english} o'clock", f"{french} heures")
    for english, french in (
        ("five", "cinq"), ("six", "six"), ("seven", "sept"), ("eight", "huit"), ("nine", "neuf"), ("ten", "dix"),
    )
)  # fmt: skip
WEEKDAYS: tuple[Phrase, ...] = (
    ("Mondays", "le lundi"), ("Tuesdays", "le mardi"), ("Wednesdays", "le mercredi"), ("Thursdays", "le jeudi"),
    ("Fridays", "le vendredi"), ("Saturdays", "le samedi"), ("Sundays", "le dimanche"),
)  # fmt: skip
VERY, TOO, BECAUSE, TODAY = ("very", "très"), ("too", "trop"), ("because", "parce que"), ("today", "aujourd'hui")
DEGREES: tuple[Phrase, ...] = (VERY, TOO, ("really", "vraiment"))
# Adjectives that "too" can stand before.
FAULTS: frozenset[str] = frozenset({
    "long", "boring", "difficult", "expensive", "noisy", "dirty", "spicy", "slow", "full", "small", "big", "heavy",
    "bulky", "dark", "lazy", "nervous", "impatient", "stubborn", "clumsy", "cautious", "old", "narrow", "wide", "shy",
    "dangerous", "steep", "muddy", "slippery", "damp", "easy",
})  # fmt: skip

PLACES: dict[str, Phrase] = {
    "garden": ("in", "dans"), "park": ("in", "dans"), "street": ("in", "dans"), "forest": ("in", "dans"),
    "meadow": ("in", "dans"), "field": ("in", "dans"), "beach": ("on", "sur"), "kitchen": ("in", "dans"),
    "bedroom": ("in", "dans"), "room": ("in", "dans"), "house": ("in", "dans"), "garage": ("in", "dans"),
    "cellar": ("in", "dans"), "square": ("in", "sur"),
}  # fmt: skip
_OUTDOORS = ("garden", "park", "forest", "meadow", "beach")
_STREETS = ("street", "square", "field")
# The places where people do something.
PLAYGROUNDS: dict[str, tuple[str, ...]] = {
    "walk": _OUTDOORS + _STREETS, "run": _OUTDOORS + _STREETS,
    "sleep": (*_OUTDOORS, "bedroom"), "rest": (*_OUTDOORS, "bedroom"),
    "work": ("garden", "field", "kitchen", "forest", "garage"),
    **dict.fromkeys(("play", "sing", "dance", "laugh", "cry"), (*_OUTDOORS, *_STREETS, "kitchen", "bedroom")),
}  # fmt: skip

# Actions that people do once, at a moment in the past.
DEEDS: tuple[str, ...] = (
    "buy", "sell", "choose", "open", "close", "clean", "wash", "paint", "repair", "break", "read", "find", "lose",
    "look for", "forget", "see", "visit", "take", "bring", "send", "receive", "borrow", "build", "prepare", "order",
    "meet", "help", "call", "thank", "wait for", "follow", "invite", "hide", "catch", "use", "finish", "start",
    "park", "plant", "draw", "win", "answer", "feed", "photograph", "admire", "carry", "cross", "leave", "throw",
    "cut", "listen to", "watch", "eat", "write", "drive", "understand", "learn", "explain", "hear", "drink",
    "enter", "climb", "push", "pull",
)  # fmt: skip
# Actions that people plan.
PLAN_VERBS: tuple[str, ...] = (
    "buy", "sell", "choose", "open", "close", "clean", "wash", "paint", "repair", "read", "look for", "visit", "take",
    "bring", "send", "borrow", "prepare", "meet", "help", "call", "thank", "wait for", "invite", "use", "finish",
    "start", "plant", "draw", "answer", "feed", "photograph", "cross", "leave", "listen to", "watch", "write", "drive",
    "learn", "explain", "climb", "follow", "carry", "see", "hide", "enter", "receive",
)  # fmt: skip
# Verbs for the future tense. There are few, so that each form occurs often enough in training.
FUTURE_VERBS: tuple[str, ...] = (
    "buy", "sell", "choose", "clean", "repair", "read", "visit", "bring", "send", "prepare", "meet", "help", "call",
    "invite", "finish", "write", "watch", "paint",
)  # fmt: skip
# Verbs for "already" and "not yet".
YET_VERBS: tuple[str, ...] = (
    "finish", "read", "see", "visit", "repair", "clean", "wash", "write", "sell", "find", "meet", "call", "answer",
    "paint", "send", "receive", "feed", "choose", "start", "prepare",
)  # fmt: skip
# Verbs whose object usually belongs to the subject.
OWN: frozenset[str] = frozenset({
    "open", "close", "clean", "wash", "paint", "repair", "break", "find", "lose", "look for", "forget", "sell",
    "bring", "hide", "use", "park", "drive", "feed", "photograph", "lend", "push", "carry", "wait for", "call",
})  # fmt: skip

# Actions that take a moment. The first five entries of each table of times above name a day.
MOMENTARY: frozenset[str] = frozenset({
    "enter", "open", "close", "push", "pull", "carry", "wait for", "cross", "follow", "look for", "call",
    "hear", "throw", "catch", "cut", "eat", "drink", "break", "answer", "thank", "park", "wash", "feed", "order",
    "prepare", "clean",
    "jump over", "leave", "bring", "hide", "take", "listen to", "watch", "help", "read", "arrive",
})  # fmt: skip
BUT, AND = ("but", "mais"), ("and", "et")
# First action, second action, the tags of their object, and the conjunction.
FOUND_AGAIN: tuple[tuple[str, str, tuple[str, ...], Phrase], ...] = (
    ("lose", "find", ("small", "thing"), BUT),
    ("buy", "sell", ("vehicle", "furniture", "machine"), BUT),
    ("break", "repair", ("machine",), BUT),
    ("open", "close", ("door", "window", "gate", "drawer"), BUT),
    ("write", "send", ("letter",), AND),
    ("choose", "buy", ("clothes", "furniture"), AND),
    ("receive", "read", ("letter",), AND),
    ("find", "lose", ("ring", "key", "ball", "umbrella"), BUT),
    ("meet", "invite", ("sibling", "someone"), AND),
    ("call", "meet", ("sibling", "someone"), AND),
    ("borrow", "forget", ("book", "umbrella", "computer"), BUT),
)
