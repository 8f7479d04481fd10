"""Under which terms an entry stands in the search index.

| Term | Entries that have … |
|---|---|
| ``*`` | all |
| ``w:tich`` | the folded word anywhere |
| ``t:tich`` | … in the title |
| ``s:tịch`` (tone last) | the word with just these diacritics anywhere |
| ``b:ho tich`` | the two words side by side |
| ``p:ho``, ``q:ho`` | a word that begins so, anywhere or in the title: up to three letters |
| ``n:so_dinh_danh`` | a field of that name |
| ``f:agency:VN/GOV/G01`` | that value of a facet |
| ``r:07`` | that standing (``CatalogueEntry.standing``) |
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.words import Word, folded_name, name_words, prefixes, words

ALL = "*"
WORD, TITLE, SPELLED, PAIR = "w:", "t:", "s:", "b:"
BEGINNING, TITLE_BEGINNING = "p:", "q:"
NAME, FACET, STANDING = "n:", "f:", "r:"

LONGEST_BEGINNING = 3  # letters; longer ones are read as a range of words
STANDINGS = 32
FACETS = ("agency", "domain", "unit", "classification", "legal_basis", "source")
TAG = "tag"
FILTERS = (*FACETS, TAG)  # tags are too many to count beside each search
MOST_WORDS = 5_000  # of one section: a hostile description must not fill the index
LONGEST_VALUE = 300  # characters of a facet's value

Section = tuple[Word, ...]


def terms_of(entry: CatalogueEntry) -> set[str]:
    """Return all terms of an entry."""
    terms = {ALL, f"{STANDING}{entry.standing:02}"}
    terms.update(_terms_of_title(entry.title), _terms_of_text(entry.description))
    terms.update(*map(_terms_of_phrase, _phrases(entry)))
    terms.update(*(_terms_of_name(field.name) for field in entry.fields))
    for facet, values in facet_values(entry).items():
        terms.update(facet_term(facet, value) for value in values)
    return terms


def sections(entry: CatalogueEntry) -> Iterator[Section]:
    """Yield the words of each part of an entry, the title first; no phrase goes over an end."""
    for text in (entry.title, entry.description, *_phrases(entry)):
        yield words(text)[:MOST_WORDS]
    for field in entry.fields:
        yield name_words(field.name)


def facet_values(entry: CatalogueEntry) -> dict[str, tuple[str, ...]]:
    """Return the values by which an entry is counted and filtered; those without are left out."""
    values = {
        "agency": (entry.owner,),
        "domain": (entry.domain,),
        "unit": (entry.unit,),
        "classification": (entry.classification.value,) if entry.fields else (),
        "legal_basis": entry.legal_basis,
        "source": (entry.source,),
        TAG: entry.tags,
    }
    return {
        facet: tuple(dict.fromkeys(each[:LONGEST_VALUE] for each in found if each))
        for facet, found in values.items()
    }


def facet_labels(entry: CatalogueEntry) -> dict[tuple[str, str], str]:
    """Return what people read for values that are codes."""
    labels = {("agency", entry.owner): entry.owner_name, ("unit", entry.unit): entry.unit_name}
    return {place: label for place, label in labels.items() if place[1] and label}


def facet_term(facet: str, value: str) -> str:
    return f"{FACET}{facet}:{value[:LONGEST_VALUE]}"


def _phrases(entry: CatalogueEntry) -> Iterator[str]:
    """Yield the texts of an entry that stand in many entries alike, or are short."""
    yield from (entry.owner_name, entry.unit_name, entry.domain, *entry.tags, *entry.legal_basis)
    yield from (entry.contract_id, entry.owner)
    for field in entry.fields:
        yield field.title
        yield field.description


def _terms_of_title(text: str) -> Iterator[str]:
    section = words(text)[:MOST_WORDS]
    yield from _section_terms(section)
    for word in section:
        yield from _title_word_terms(word.folded)


def _terms_of_text(text: str) -> Iterator[str]:
    return _section_terms(words(text)[:MOST_WORDS])


@lru_cache(16_384)  # agencies, laws and fields of the same name are in thousands of entries
def _terms_of_phrase(text: str) -> frozenset[str]:
    return frozenset(_terms_of_text(text))


@lru_cache(16_384)
def _terms_of_name(name: str) -> frozenset[str]:
    return frozenset((NAME + folded_name(name), *_section_terms(name_words(name))))


def _section_terms(section: Section) -> Iterator[str]:
    for word in section:
        yield from _word_terms(word)
    for first, second in pairwise(section):
        yield f"{PAIR}{first.folded} {second.folded}"


@lru_cache(65_536)
def _word_terms(word: Word) -> tuple[str, ...]:
    beginnings = (BEGINNING + each for each in prefixes(word.folded, LONGEST_BEGINNING))
    spelling = (SPELLED + word.spelled,) if word.has_marks else ()
    return (WORD + word.folded, *spelling, *beginnings)


@lru_cache(65_536)
def _title_word_terms(folded: str) -> tuple[str, ...]:
    beginnings = prefixes(folded, LONGEST_BEGINNING)
    return (TITLE + folded, *(TITLE_BEGINNING + each for each in beginnings))
