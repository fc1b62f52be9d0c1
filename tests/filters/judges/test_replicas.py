from filters.judges.replicas import Replicas


def test_the_least_loaded_is_chosen_up_to_the_bound():
    replicas = Replicas(["a", "b"], 2)
    chosen = [replicas.choose(0.0) for _ in range(5)]
    assert [each and each.url for each in chosen] == ["a", "b", "a", "b", None]
    replicas.done(chosen[1])
    assert replicas.choose(0.0).url == "b"


def test_a_failing_server_rests_twice_as_long_each_time():
    replicas = Replicas(["a"], 4)
    rests = []
    now = 0.0
    for _ in range(8):
        replica = replicas.choose(now)
        replicas.failed(replica, asked_at=now, now=now + 0.1)
        rests.append(round(replica.rests_until - now - 0.1, 6))
        assert replicas.choose(replica.rests_until - 0.01) is None
        now = replica.rests_until
    assert rests == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert replicas.all_fail()
    replicas.done(replicas.choose(now))
    assert not replicas.all_fail()


def test_requests_under_way_together_count_as_one_failure():
    replicas = Replicas(["a"], 4)
    together = [replicas.choose(0.0) for _ in range(4)]
    for number, replica in enumerate(together):
        replicas.failed(replica, asked_at=0.0, now=1.0 + number / 10)
    assert (together[0].failures, together[0].in_flight) == (1, 0)


def test_after_three_failures_one_request_tries_alone():
    replicas = Replicas(["a"], 4)
    for now in (0.0, 10.0, 20.0):
        replicas.failed(replicas.choose(now), asked_at=now, now=now + 1)
    alone = replicas.choose(100.0)
    assert alone is not None and replicas.choose(100.0) is None
    replicas.done(alone)
    assert replicas.choose(100.0) and replicas.choose(100.0)


def test_a_server_may_ask_for_more_time():
    replicas = Replicas(["a", "b"], 1)
    replicas.failed(replicas.choose(0.0), asked_at=0.0, now=0.0, wish=60.0)
    assert replicas.choose(59.0).url == "b" and replicas.choose(59.0) is None
    assert replicas.choose(60.0).url == "a"
    greedy = Replicas(["a"], 1)
    greedy.failed(greedy.choose(0.0), asked_at=0.0, now=0.0, wish=1e9)
    assert greedy.choose(301.0) is not None


def test_nobody_waits_twice_in_vain():
    replicas = Replicas(["a"], 1)
    assert replicas.patience(7.0) == 7.0
    replicas.give_up()
    assert replicas.patience(7.0) == 0.0
    replicas.done(replicas.choose(0.0))
    assert replicas.patience(7.0) == 7.0
