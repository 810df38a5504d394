import pytest
from hypothesis import given
from hypothesis import strategies as st

from elmo_tagger.tagging.detection import SchemeDetector, detect_scheme
from elmo_tagger.tagging.schemes import SCHEMES, TagSchemeError, problems, spans_to_tags
from elmo_tagger.text.sentence import Sentence, Span

# Long, single and touching entities: enough to tell every scheme from the others.
TELLING = [Span(0, 3, "P"), Span(3, 4, "P"), Span(5, 7, "L")]


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_a_telling_sentence_gives_its_scheme_away(scheme):
    assert detect_scheme([["O"], spans_to_tags(TELLING, 8, scheme)]) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [("O O", "BIO"), ("", "BIO"), ("O I-P I-P", "IOB1"), ("B-P E-P O S-P", "BIOES"), ("I-P E-P I-P", "IOE1")],
)
def test_ambiguous_tags_take_the_first_scheme(tags, scheme):
    assert detect_scheme([tags.split()]) == scheme


@given(st.lists(st.lists(st.sampled_from("O B-P I-P E-P L-P S-P U-P I-L x".split()), max_size=5), max_size=6))
def test_counts_are_those_of_checking_each_sentence_in_each_scheme(sentences):
    detector = SchemeDetector()
    for tags in sentences:
        detector.add(tags)
    for name in SCHEMES:
        assert detector.broken[name] == sum(bool(list(problems(tags, name))) for tags in sentences)
    assert detector.ranking()[0] == min(SCHEMES, key=detector.broken.__getitem__)


def test_no_scheme_names_the_nearest_and_the_place():
    good = Sentence(["a", "b"], ["B-P", "I-P"], path="x.conll", lines=[1, 2])
    bad = Sentence(["c", "d"], ["O", "I-P"], path="x.conll", lines=[4, 5])
    with pytest.raises(TagSchemeError) as error:
        detect_scheme([good, bad, good])
    assert str(error.value) == (
        "the tags fit no scheme; nearest is BIO, which 1 of 3 sentences break, first at x.conll:5: "
        "I-P after O: BIO expects B-P or I-P before it; leniently read as the first token of an entity"
    )
    assert detect_scheme([good, bad, good], strict=False) == "BIO"


def test_tags_that_no_sentence_fits_are_refused_leniently_too():
    with pytest.raises(TagSchemeError, match=r"first at sentence 0: 'NOUN' is no BIO tag"):
        detect_scheme([["NOUN"]], strict=False)


def test_ill_formed_sentences_alone_have_a_scheme_if_it_has_all_of_their_tags():
    assert detect_scheme([["B-X", "I-Y"]], strict=False) == "BIO"
    assert detect_scheme([["B-X", "I-X"], ["O", "I-X"], ["U-X"]], strict=False) == "BIOUL"
    with pytest.raises(
        TagSchemeError, match=r"nearest is BIO, which 1 of 2 sentences break, first at sentence 1: 'X-Y'"
    ):
        detect_scheme([["B-X", "I-X"], ["X-Y"]], strict=False)
