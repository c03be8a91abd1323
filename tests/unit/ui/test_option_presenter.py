from __future__ import annotations

from datetime import time

import pytest

from allie_desktop.domain.errors import SettingError
from allie_desktop.domain.options import Group, Kind
from allie_desktop.domain.preferences import Eagerness, Preferences
from allie_desktop.domain.settings import option_specs
from allie_desktop.ui.presenters.options import CHOICE_WORDS, matching, shown, step, typed, visible

SPECS = {spec.name: spec for spec in option_specs()}


#: The others have a control that cannot hold a wrong value.
WRITTEN = [spec for spec in option_specs() if spec.kind not in {Kind.SWITCH, Kind.CHOICE, Kind.MOMENT}]


@pytest.mark.parametrize("spec", WRITTEN, ids=lambda spec: spec.name)
def test_what_is_shown_of_a_default_is_read_back_as_the_default(spec):
    assert spec.check(typed(spec, shown(spec, spec.default))) == spec.default


@pytest.mark.parametrize(
    ("name", "words", "value"),
    [
        ("min_quality", "0,75", 0.75),
        ("min_quality", " .5 ", 0.5),
        ("min_new_conversations", "1 000", 1000),
        ("min_new_conversations", "1\N{NO-BREAK SPACE}000", 1000),
        ("min_new_conversations", "50.0", 50),
        ("window_start", "7", time(7, 0)),
        ("window_start", "7.30", time(7, 30)),
        ("window_start", "23:59", time(23, 59)),
        ("excluded_sources", "api, chatgpt,, api ", ("api", "chatgpt")),
        ("language", " de ", "de"),
    ],
)
def test_people_may_write_values_as_they_are_used_to(name, words, value):
    assert SPECS[name].check(typed(SPECS[name], words)) == value


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("min_quality", ""),
        ("min_quality", "1,000.5"),
        ("min_quality", "1,2,3"),
        ("min_quality", "nan"),
        ("min_quality", "1e999"),
        ("min_new_conversations", "3.5"),
        ("min_new_conversations", "٣٤٥٦٧٨٩٠١"),
        ("min_new_conversations", "nine"),
        ("window_start", "25:00"),
        ("window_start", "soon"),
        ("window_start", "²"),
        ("language", "d\x00e"),
    ],
)
def test_what_cannot_be_a_value_is_refused_with_a_sentence(name, words):
    with pytest.raises(SettingError, match=SPECS[name].label) as refusal:
        SPECS[name].check(typed(SPECS[name], words))
    assert str(refusal.value).endswith(".")


def test_every_choice_has_words():
    choices = [choice for spec in option_specs() for choice in spec.choices]
    assert [choice for choice in choices if choice not in CHOICE_WORDS] == []
    assert shown(SPECS["eagerness"], Eagerness.BALANCED) == "Balanced"


def test_a_search_finds_labels_before_explanations_and_never_hidden_options():
    assert [spec.name for spec in matching(option_specs(), "battery")] == [
        "learn_on_battery",
        "min_battery_percent",
    ]
    assert [spec.name for spec in matching(option_specs(), "TEMPERATURE processor")] == [
        "cpu_hot_celsius",
        "cpu_cool_celsius",
    ]
    assert matching(option_specs(), "paused until") == ()
    assert matching(option_specs(), "   ") == ()


def test_all_options_but_the_hidden_ones_have_a_place_on_one_page():
    placed = [spec.name for group in Group for spec in visible(option_specs(), group)]
    assert sorted(placed) == sorted(spec.name for spec in option_specs() if not spec.hidden)


def test_arrow_keys_go_in_steps_that_suit_the_range():
    assert step(SPECS["min_quality"], 0.8) == 0.05
    assert step(SPECS["min_new_conversations"], 50) == 1
    assert step(SPECS["min_new_conversations"], 500) == 10
    assert step(SPECS["idle_minutes"], 0.5) == 0.5


def test_numbers_are_shown_without_needless_digits():
    preferences = Preferences()
    assert shown(SPECS["idle_minutes"], preferences.idle_minutes) == "5"
    assert shown(SPECS["kl_budget"], 0.08) == "0.08"
    assert shown(SPECS["pause_until"], None) == ""
