"""The tables and rules of both languages, checked against forms that any grammar book gives."""

import pytest

from pellucid.sample import build_corpus, split_words
from pellucid.sample.lexicon import load_lexicon
from pellucid.sample.morphology_english import article, verb_words
from pellucid.sample.morphology_french import begins_with_vowel, conjugate, determiner, elide, participle
from pellucid.sample.phrases import noun_phrase, owned_phrase, superlative_phrase, verb_group
from pellucid.sample.sentence import Agreement, Fragment

LEXICON = load_lexicon()
HE, SHE, THEY_F = Agreement(2, False, False), Agreement(2, True, False), Agreement(5, True, True)


def french(fragment: Fragment) -> str:
    words = [word for word, _ in fragment.french]
    elide(words)
    return " ".join(words).replace("' ", "'")


def english(fragment: Fragment) -> str:
    return " ".join(word for word, _ in fragment.english).replace(" 's", "'s")


def test_the_lexicon_is_as_large_as_promised() -> None:
    assert len(LEXICON.nouns) >= 150
    assert len(LEXICON.verbs) >= 80
    assert len(LEXICON.adjectives) >= 60
    assert {noun.feminine for noun in LEXICON.nouns.values()} == {True, False}


@pytest.mark.parametrize(
    ("infinitive", "tense", "forms"),
    [
        ("être", "imperfect", "étais étais était étions étiez étaient"),
        ("avoir", "future", "aurai auras aura aurons aurez auront"),
        ("manger", "present", "mange manges mange mangeons mangez mangent"),
        ("manger", "imperfect", "mangeais mangeais mangeait mangions mangiez mangeaient"),
        ("commencer", "present", "commence commences commence commençons commencez commencent"),
        ("commencer", "imperfect", "commençais commençais commençait commencions commenciez commençaient"),
        ("acheter", "present", "achète achètes achète achetons achetez achètent"),
        ("acheter", "future", "achèterai achèteras achètera achèterons achèterez achèteront"),
        ("appeler", "future", "appellerai appelleras appellera appellerons appellerez appelleront"),
        ("préférer", "present", "préfère préfères préfère préférons préférez préfèrent"),
        ("nettoyer", "present", "nettoie nettoies nettoie nettoyons nettoyez nettoient"),
        ("nettoyer", "future", "nettoierai nettoieras nettoiera nettoierons nettoierez nettoieront"),
        ("envoyer", "future", "enverrai enverras enverra enverrons enverrez enverront"),
        ("finir", "present", "finis finis finit finissons finissez finissent"),
        ("choisir", "conditional", "choisirais choisirais choisirait choisirions choisiriez choisiraient"),
        ("nourrir", "imperfect", "nourrissais nourrissais nourrissait nourrissions nourrissiez nourrissaient"),
        ("vendre", "present", "vends vends vend vendons vendez vendent"),
        ("attendre", "future", "attendrai attendras attendra attendrons attendrez attendront"),
        ("peindre", "imperfect", "peignais peignais peignait peignions peigniez peignaient"),
        ("boire", "present", "bois bois boit buvons buvez boivent"),
        ("vouloir", "present", "veux veux veut voulons voulez veulent"),
        ("photographier", "imperfect",
         "photographiais photographiais photographiait photographiions photographiiez photographiaient"),
    ],
)  # fmt: skip
def test_conjugation(infinitive: str, tense: str, forms: str) -> None:
    assert " ".join(conjugate(infinitive, tense, person) for person in range(6)) == forms


def test_participles_agree() -> None:
    assert [participle("prendre", f, p) for f in (False, True) for p in (False, True)] == [
        "pris", "pris", "prise", "prises",
    ]  # fmt: skip
    assert participle("ouvrir", True, True) == "ouvertes"
    assert participle("recevoir", True, False) == "reçue"


def test_the_auxiliary_and_what_the_participle_agrees_with() -> None:
    go, buy, get_up = LEXICON.verbs["go"], LEXICON.verbs["buy"], LEXICON.verbs["get up"]
    assert french(verb_group(go, "past", THEY_F).whole) == "sont allées"
    assert french(verb_group(buy, "past", SHE).whole) == "a acheté"
    assert french(verb_group(buy, "past", HE, clitic="la", earlier_object=SHE).whole) == "l'a achetée"
    assert french(verb_group(get_up, "past", SHE, "not").whole) == "ne s'est pas levée"
    assert english(verb_group(get_up, "past", SHE, "not").whole) == "didn't get up"
    assert french(verb_group(buy, "perfect", HE, "never").whole) == "n'a jamais acheté"
    assert english(verb_group(buy, "perfect", HE, "never").whole) == "has never bought"


def test_determiners_elide_and_fuse() -> None:
    assert determiner("the", "de", False, False, False) == ("du",)
    assert determiner("the", "à", False, True, True) == ("aux",)
    assert determiner("the", "de", True, False, True) == ("de", "l'")
    assert determiner("my", "", True, False, True) == ("mon",)
    assert determiner("this", "", False, False, True) == ("cet",)
    assert determiner("any", "", False, False, True) == ("d'",)
    assert begins_with_vowel("hôpital")
    assert begins_with_vowel("œuf")
    assert not begins_with_vowel("héros")
    assert not begins_with_vowel("haies")
    assert not begins_with_vowel("huit")


@pytest.mark.parametrize(
    ("noun", "determiner_kind", "plural", "adjective", "expected"),
    [
        ("computer", "a", False, "new", ("a new computer", "un nouvel ordinateur")),
        ("tree", "this", False, "old", ("this old tree", "ce vieil arbre")),
        ("hotel", "the", False, "beautiful", ("the beautiful hotel", "le bel hôtel")),
        ("hedgehog", "the", False, None, ("the hedgehog", "le hérisson")),
        ("flower", "some", True, "beautiful", ("some beautiful flowers", "de belles fleurs")),
        ("flower", "some", True, "red", ("some red flowers", "des fleurs rouges")),
        ("orange", "any", True, None, ("any oranges", "d'oranges")),
        ("car", "not a", False, None, ("a car", "de voiture")),
        ("water", "some", False, None, ("some water", "de l'eau")),
        ("scarf", "my", False, None, ("my scarf", "mon écharpe")),
        ("scarf", "my", False, "beautiful", ("my beautiful scarf", "ma belle écharpe")),
        ("shoe", "these", True, "brown", ("these brown shoes", "ces chaussures marron")),
        ("apple", "a", False, "expensive", ("an expensive apple", "une pomme chère")),
        ("horse", "the", True, "white", ("the white horses", "les chevaux blancs")),
    ],
)
def test_noun_phrases(
    noun: str, determiner_kind: str, plural: bool, adjective: str | None, expected: tuple[str, str]
) -> None:
    described = LEXICON.adjectives[adjective] if adjective else None
    fragment = noun_phrase(LEXICON.nouns[noun], determiner_kind, plural, described)
    assert (english(fragment), french(fragment)) == expected


def test_possession_and_superlatives() -> None:
    owned = owned_phrase(LEXICON.nouns["uncle"], "my", LEXICON.nouns["car"])
    assert (english(owned), french(owned)) == ("my uncle's car", "la voiture de mon oncle")
    dress = superlative_phrase(LEXICON.nouns["dress"], LEXICON.adjectives["expensive"])
    assert (english(dress), french(dress)) == ("the most expensive dress", "la robe la plus chère")
    tree = superlative_phrase(LEXICON.nouns["tree"], LEXICON.adjectives["beautiful"])
    assert french(tree) == "le plus bel arbre"


def test_english_forms() -> None:
    assert verb_words(LEXICON.verbs["carry"], "present", 2, False) == ("", "carries")
    assert verb_words(LEXICON.verbs["carry"], "present", 2, True) == ("does", "carry")
    assert verb_words(LEXICON.verbs["write"], "perfect", 0, False) == ("have", "written")
    assert [article(word) for word in ("honest", "umbrella", "useful", "old", "hotel")] == ["an", "an", "a", "an", "a"]


def test_the_adjectives_of_the_family_belong_to_one_side_only() -> None:
    for frame in LEXICON.family:
        things = {adjective for _, listed in (*frame.object_too, *frame.object_very) for adjective in listed}
        assert not things & {*frame.subject_too, *frame.subject_very}, frame.verb.lemma
    everyone = {a for frame in LEXICON.family for a in (*frame.subject_too, *frame.subject_very)}
    every_thing = {
        a for frame in LEXICON.family for _, listed in (*frame.object_too, *frame.object_very) for a in listed
    }
    assert not everyone & every_thing


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("L'animal n'a pas dormi.", ["L'", "animal", "n'", "a", "pas", "dormi", "."]),
        ("My brother's car didn't start, did it?",
         ["My", "brother", "'s", "car", "didn't", "start", ",", "did", "it", "?"]),
        ("Qu'est-ce qu'il y a aujourd'hui ?", ["Qu'", "est-ce", "qu'", "il", "y", "a", "aujourd'hui", "?"]),
        ("Puisqu'elle dort, s'il vous plaît.", ["Puisqu'", "elle", "dort", ",", "s'", "il", "vous", "plaît", "."]),
        ("at seven o'clock with my grand-père", ["at", "seven", "o'clock", "with", "my", "grand-père"]),
    ],
)  # fmt: skip
def test_word_split(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_pronouns_agree_with_the_noun_they_stand_for() -> None:
    gender: dict[str, bool] = {}
    number: dict[str, bool] = {}
    for noun in LEXICON.nouns.values():
        for form, plural in ((noun.french, False), (noun.french_plural, True)):
            gender[form.split()[0]] = noun.feminine
            number.setdefault(form.split()[0], plural)
    shape = {"il": (False, False), "elle": (True, False), "ils": (False, True), "elles": (True, True)}
    same_in_both_numbers = {n.french.split()[0] for n in LEXICON.nouns.values() if n.french == n.french_plural}
    corpus = build_corpus(seed=3, train_size=6_007, valid_size=0, test_size=0)
    seen = 0
    for pair in corpus.train:
        mots = split_words(pair.target)
        for referent in pair.referents:
            pronoun, noun_form = mots[referent.target_pronoun], mots[referent.target_antecedent]
            if pronoun not in shape:  # an object pronoun: l' and les tell no gender
                assert pronoun in {"l'", "le", "la", "les"}
                continue
            seen += 1
            feminine, plural = shape[pronoun]
            assert gender[noun_form] == feminine, pair.target
            assert noun_form in same_in_both_numbers or number[noun_form] == plural, pair.target
    assert seen > 1_000
