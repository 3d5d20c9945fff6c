from trailscan.archive.origin import naming_of


def test_a_renamed_file_is_known_by_the_folders_it_lies_in():
    naming = naming_of("case/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/renamed.json.gz")
    assert (naming.kind, naming.account_id, naming.region, naming.delivered_at) == ("log", "111122223333", "eu-west-1", None)


def test_a_name_that_says_nothing_in_folders_that_say_nothing_is_not_guessed_at():
    naming = naming_of("case/renamed.json.gz")
    assert (naming.kind, naming.account_id, naming.region, naming.delivered_at) == (None, None, None, None)
