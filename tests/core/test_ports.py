"""A port answers with its default until another app connects an answer."""

from core.ports import Port


def test_a_port_answers_with_its_default_until_it_is_connected() -> None:
    @Port
    def label(slug: str, *, short: bool = False) -> str:
        """Return a label."""
        return slug

    assert label("openai") == "openai"
    assert (label.__name__, label.__doc__) == ("label", "Return a label.")
    label.connect(lambda slug, short=False: slug[:2] if short else slug.upper())
    assert label("openai", short=True) == "op"
    label.connect(lambda slug, short=False: "third")
    assert label("openai") == "third"
