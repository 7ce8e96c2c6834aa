"""Failures that tell the same are judged once: nothing but what is remembered may matter."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.classifiers import SPAN_KEYS, evidence_of_span


class Watched(dict):
    """Attributes that note which names are asked for."""

    def __init__(self, *held):
        super().__init__(*held)
        self.asked = set()

    def get(self, key, default=None):
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key):
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self.asked.add(key)
        return super().__contains__(key)


@given(
    attributes=st.dictionaries(
        st.sampled_from(SPAN_KEYS),
        st.sampled_from(["429", "chat", "ai.generateText.doGenerate", 8, 503, "", ["stop"], "odd.Error"]),
        max_size=6,
    ),
    message=st.sampled_from([None, '{"error": {"code": "x"}}', "Error code: 429"]),
)
def test_evidence_comes_from_the_names_that_are_remembered(attributes, message):
    watched = Watched(attributes)
    evidence_of_span(watched, message, [{"name": "exception", "attributes": {}}], name="chat")
    assert watched.asked <= set(SPAN_KEYS)
