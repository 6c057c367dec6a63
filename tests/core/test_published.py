"""Which address lists from the net are believed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.addresses import Network, parse_network
from gateway.core.published import AddressesError, checked, texts_at


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(parse_network, texts))


def test_a_good_list_is_sorted_and_has_each_network_once() -> None:
    texts = ["2001:db8::/32", "203.0.113.7", "198.51.100.0/24", " 203.0.113.7/32 ", "::ffff:192.0.2.1"]
    wanted = networks("192.0.2.1", "198.51.100.0/24", "203.0.113.7", "2001:db8::/32")
    assert checked(texts, (), force=False) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.0.0.0/0", "wider"),
        ("::/0", "wider"),
        ("0.0.0.0/1", "wider"),
        ("8.0.0.0/7", "wider"),
        ("2000::/3", "wider"),
        ("2600::/15", "wider"),
        ("::ffff:0.0.0.0/96", "wider"),
        ("10.1.2.3", "public"),
        ("172.0.0.0/8", "public"),
        ("192.168.1.0/24", "public"),
        ("127.0.0.1", "public"),
        ("169.254.169.254", "public"),
        ("100.64.0.0/10", "public"),
        ("0.0.0.1", "public"),
        ("255.255.255.255", "public"),
        ("::1", "public"),
        ("fe80::/64", "public"),
        ("fc00::/16", "public"),
        ("ff02::1", "public"),
        ("::ffff:10.0.0.1", "public"),
        ("203.0.113.1/24", "no network"),
        ("<html>", "no network"),
        ("", "no network"),
        ("203.0.113.0/33", "no network"),
        ("fe80::1%eth0", "public"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_one_bad_network_spoils_the_list_and_no_force_helps(text: str, words: str, force: bool) -> None:
    with pytest.raises(AddressesError, match=words):
        checked(["203.0.113.7", text], (), force=force)


def test_refuses_an_empty_list_and_an_endless_one() -> None:
    with pytest.raises(AddressesError, match="empty"):
        checked([], (), force=True)
    endless = (f"203.0.{each >> 8}.{each & 255}" for each in range(10_001))
    with pytest.raises(AddressesError, match="more than 10000"):
        checked(endless, (), force=True)


def test_refuses_a_list_that_has_lost_most_of_what_was_known_unless_forced() -> None:
    before = networks("203.0.113.1", "203.0.113.2", "203.0.113.3")
    assert len(checked(["203.0.113.1", "203.0.113.2"], before, force=False)) == 2
    for shrunk in (["203.0.113.1"], [f"198.51.100.{each}" for each in range(9)]):
        with pytest.raises(AddressesError, match=r"[23] of 3") as error:
            checked(shrunk, before, force=False)
        assert "--force" in error.value.mend
        assert len(checked(shrunk, before, force=True)) == len(shrunk)


def test_half_gone_is_not_most_and_a_wider_network_loses_nothing() -> None:
    before = networks("203.0.113.0", "203.0.113.1", "2001:db8::1", "2001:db8::2")
    assert checked(["203.0.113.0/31"], before, force=False)
    assert checked(["203.0.113.0/24", "2001:db8::/32"], before, force=False)


@given(st.lists(st.one_of(st.ip_addresses().map(str), st.text())))
def test_whatever_comes_is_believed_or_refused(texts: list[str]) -> None:
    try:
        found = checked(texts, (), force=False)
    except AddressesError:
        return
    assert all(each.prefixlen for each in found)


SERVICES: dict[str, Any] = {
    "items": [
        {"cidr": "203.0.113.0/24", "product": ["jira", "bitbucket"], "direction": ["egress"]},
        {"cidr": "198.51.100.0/24", "product": ["jira"], "direction": ["ingress"]},
        {"cidr": "192.0.2.0/24", "product": "jira"},
    ]
}


@pytest.mark.parametrize(
    ("data", "path", "where", "found"),
    [
        ({"hooks": ["a", "b"], "web": ["c"]}, ["hooks"], {}, ["a", "b"]),
        ({"us": ["a"], "eu": ["b", "c"]}, ["*"], {}, ["a", "b", "c"]),
        (["a", "b"], [], {}, ["a", "b"]),
        ({"webhooks": {"v4": ["a"], "v6": []}, "x": 1}, ["webhooks", "*"], {}, ["a"]),
        (SERVICES, ["items", "*", "cidr"], {"direction": "egress"}, ["203.0.113.0/24"]),
        (
            SERVICES,
            ["items", "*", "cidr"],
            {"product": "jira"},
            ["203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"],
        ),
        (SERVICES, ["items", "*", "cidr"], {"product": "x"}, []),
    ],
)
def test_a_path_leads_to_the_networks(
    data: Any, path: list[str], where: dict[str, str], found: list[str]
) -> None:
    assert texts_at(data, path, where) == found


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"hook": []}, ["hooks"]),
        ([], ["hooks"]),
        (None, []),
        (7, ["*"]),
        ({"a": 7}, ["a"]),
        (["a", 7], []),
        ({"a": "b"}, ["a", "*"]),
        ({"items": [{"cidr": "a"}, {}]}, ["items", "*", "cidr"]),
    ],
)
def test_json_of_another_form_is_refused_whole(data: Any, path: list[str]) -> None:
    with pytest.raises(AddressesError, match="another form"):
        texts_at(data, path, {})
