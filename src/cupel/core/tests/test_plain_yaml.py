import pytest

from cupel.core.plain_yaml import parsed_yaml, yaml_of

LAUGHS = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "a: &a [*a]",
        "<<: &a {b: 1}\nc: *a",
        "!!python/object/apply:os.system [true]",
        "!!python/name:os.system",
        "[" * 5000,
        "{a: " * 5000,
        "- " * 5000,
        "{: broken",
        "a: \x00",
        "2020-99-99",
        "? {a: 1}\n: 2",
        "1" * 5000,
        "=",
    ],
)
def test_what_is_no_plain_yaml_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 what is wrong differs
        parsed_yaml(text)


def test_a_value_that_stands_in_two_places_is_written_twice():
    shared = ["a", "b"]
    written = yaml_of({"first": shared, "second": shared})
    assert "*" not in written
    assert parsed_yaml(written) == {"first": shared, "second": shared}


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "+1e-3", "1.0e-3", "1.e-3"])
def test_a_number_with_an_exponent_is_a_number_however_it_is_written(text):
    assert parsed_yaml(f"rate: {text}") == {"rate": 0.001}


@pytest.mark.parametrize("text", ["1e-3", "1e5", "-2E4", "e5", "1e", "0x1e3", "12", "1.5"])
def test_a_text_that_looks_like_a_number_stays_a_text(text):
    assert parsed_yaml(yaml_of({"level": text})) == {"level": text}
