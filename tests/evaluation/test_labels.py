from q2_aam.evaluation.labels import short_names


def test_short_names_stay_and_long_ones_lose_their_middle():
    assert short_names(["soil", "x" * 28]) == ["soil", "x" * 28]
    (short,) = short_names(["beginning of a very long name and its end"])
    assert short == "beginning of …me and its end" and len(short) == 28


def test_names_that_differ_only_in_their_middle_stay_apart():
    names = ["a" * 30 + middle + "z" * 30 for middle in ("1", "2", "3")]
    assert len(set(short_names(names))) == 3


def test_equal_names_do_not_go_on_forever():
    assert len(short_names(["n" * 99, "n" * 99])) == 2
