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
MOST_WORDS = 5_000  # of one section: a hostile description must not fill the index
LONGEST_VALUE = 300  # characters of a facet's value

Section = tuple[Word, ...]


def terms_of(entry: CatalogueEntry) -> set[str]:
    """Return all terms of an entry."""
    title, *rest = sections(entry)
    terms = {ALL, f"{STANDING}{entry.standing:02}"}
    for section in (title, *rest):
        terms.update(_section_terms(section))
    for word in title:
        terms.add(TITLE + word.folded)
        terms.update(TITLE_BEGINNING + each for each in prefixes(word.folded, LONGEST_BEGINNING))
    terms.update(NAME + folded_name(field.name) for field in entry.fields)
    for facet, values in facet_values(entry).items():
        terms.update(facet_term(facet, value) for value in values)
    return terms


def sections(entry: CatalogueEntry) -> Iterator[Section]:
    """Yield the words of each part of an entry, the title first; no phrase goes over an end."""
    for text in (entry.title, entry.description, entry.owner_name, entry.unit_name, entry.domain):
        yield words(text)[:MOST_WORDS]
    for text in (*entry.tags, *entry.legal_basis, entry.contract_id, entry.owner):
        yield words(text)[:MOST_WORDS]
    for field in entry.fields:
        yield name_words(field.name)
        yield words(field.title)[:MOST_WORDS]
        yield words(field.description)[:MOST_WORDS]


def facet_values(entry: CatalogueEntry) -> dict[str, tuple[str, ...]]:
    """Return the values by which an entry is counted and filtered; those without are left out."""
    values = {
        "agency": (entry.owner,),
        "domain": (entry.domain,),
        "unit": (entry.unit,),
        "classification": (entry.classification.value,) if entry.fields else (),
        "legal_basis": entry.legal_basis,
        "source": (entry.source,),
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


def _section_terms(section: Section) -> Iterator[str]:
    for word in section:
        yield WORD + word.folded
        if word.has_marks:
            yield SPELLED + word.spelled
        for each in prefixes(word.folded, LONGEST_BEGINNING):
            yield BEGINNING + each
    for first, second in pairwise(section):
        yield f"{PAIR}{first.folded} {second.folded}"
