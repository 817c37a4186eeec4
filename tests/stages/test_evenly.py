from ivcore.stages.evenly import evenly


def test_from_the_first_to_the_last_and_no_more_than_there_are():
    assert evenly("abcdefg", 3) == ["a", "d", "g"] and evenly([1, 2], 5) == [1, 2]
    assert evenly([], 3) == [] and evenly("abc", 1) == ["a"]
