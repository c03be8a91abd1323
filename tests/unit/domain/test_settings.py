from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from allie_desktop.domain.errors import SettingError
from allie_desktop.domain.judgement import Margins
from allie_desktop.domain.settings import (
    PRESETS,
    Device,
    Eagerness,
    Group,
    Kind,
    Preferences,
    Rollout,
    Theme,
    changed,
    check,
    from_saved,
    option_specs,
    saved_value,
    to_saved,
)

DEFAULTS = Preferences()
SPECS = {spec.name: spec for spec in option_specs()}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def allowed_value(spec):
    if spec.kind is Kind.SWITCH:
        return st.booleans()
    if spec.kind is Kind.COUNT:
        return st.integers(int(spec.minimum), int(spec.maximum))
    if spec.kind is Kind.NUMBER:
        return st.floats(spec.minimum, spec.maximum)
    if spec.kind is Kind.CLOCK_TIME:
        return st.builds(time, st.integers(0, 23), st.integers(0, 59))
    if spec.kind is Kind.MOMENT:
        return st.none() | st.datetimes(
            datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(timezone.utc)
        )
    if spec.kind is Kind.CHOICE:
        return st.sampled_from(spec.choices)
    text = st.text(st.characters(categories=["L", "N", "P"]), max_size=8)
    return text if spec.kind is Kind.TEXT else st.lists(text, unique=True, max_size=3).map(tuple)


any_preferences = st.builds(
    Preferences, **{name: allowed_value(spec) for name, spec in SPECS.items()}
).filter(lambda p: p.cpu_cool_celsius < p.cpu_hot_celsius and p.gpu_cool_celsius < p.gpu_hot_celsius)


def test_the_defaults_are_those_of_the_specification():
    assert DEFAULTS.min_new_conversations == 50
    assert DEFAULTS.min_quality == 0.8
    assert DEFAULTS.hours_between_episodes == 24
    assert DEFAULTS.idle_minutes == 5
    assert (DEFAULTS.window_start, DEFAULTS.window_end) == (time(22), time(8))
    assert (DEFAULTS.preferred_start, DEFAULTS.preferred_end) == (time(2), time(6))
    assert DEFAULTS.learn_on_battery is False
    assert DEFAULTS.max_attempts == 3
    assert DEFAULTS.consent_given is False
    assert DEFAULTS.eagerness is Eagerness.BALANCED


def test_every_field_is_an_option_with_words_and_a_default_that_its_own_check_accepts():
    assert [spec.name for spec in option_specs()] == [declared.name for declared in fields(Preferences)]
    for spec in option_specs():
        assert spec.label
        assert spec.label[0].isupper()
        assert spec.explanation.endswith(".")
        assert isinstance(spec.group, Group)
        accepted = spec.check(spec.default)
        assert (accepted, type(accepted)) == (spec.default, type(spec.default))
        if spec.kind in (Kind.COUNT, Kind.NUMBER):
            assert spec.minimum <= spec.default <= spec.maximum
        if spec.kind is Kind.CHOICE:
            assert spec.default in spec.choices


def test_the_smallest_general_set_leaves_the_gate_enough():
    held_out = int(SPECS["general_prompts"].minimum) // 3  # of which training watches every second one

    assert held_out // 2 >= Margins().fewest_general


def test_labels_are_unique_on_their_page():
    shown = [(spec.group, spec.label) for spec in option_specs() if not spec.hidden]
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("min_new_conversations", 7, 7),
        ("min_new_conversations", 7.0, 7),
        ("min_quality", 1, 1.0),
        ("learn_on_battery", True, True),
        ("window_start", "23:30", time(23, 30)),
        ("window_start", " 6:05 ", time(6, 5)),
        ("window_start", time(1, 2), time(1, 2)),
        ("theme", "dark", Theme.DARK),
        ("theme", Theme.LIGHT, Theme.LIGHT),
        ("rollout", "at once", Rollout.AT_ONCE),
        ("device", "cuda", Device.CUDA),
        ("pause_until", None, None),
        ("pause_until", "2025-03-04T10:00:00Z", datetime(2025, 3, 4, 10, tzinfo=timezone.utc)),
        ("pause_until", "2025-03-04T10:00:00+02:00", datetime(2025, 3, 4, 8, tzinfo=timezone.utc)),
        ("excluded_topics", ["taxes", "health", "taxes"], ("taxes", "health")),
        ("base_model", "/models/my model.gguf", "/models/my model.gguf"),
    ],
)
def test_a_good_value_comes_back_typed(name, value, expected):
    actual = check(name, value)
    assert (actual, type(actual)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "min_new_conversations",
            0,
            "“New conversations needed” must be a whole number between 1 and 100,000 conversations, not 0.",
        ),
        (
            "min_new_conversations",
            2.5,
            "“New conversations needed” must be a whole number between 1 and 100,000 conversations, not 2.5.",
        ),
        ("min_quality", 1.2, "“Average quality needed” must be between 0 and 1, not 1.2."),
        ("min_quality", float("nan"), "“Average quality needed” must be between 0 and 1, not nan."),
        ("idle_minutes", "soon", "“Away for” must be between 0.1 and 240 minutes, not 'soon'."),
        ("idle_minutes", True, "“Away for” must be between 0.1 and 240 minutes, not on."),
        ("idle_minutes", None, "“Away for” must be between 0.1 and 240 minutes, not nothing."),
        ("idle_minutes", [5], "“Away for” must be between 0.1 and 240 minutes, not a list."),
        ("learn_on_battery", 1, "“Learn on battery” must be on or off, not 1."),
        ("window_start", "25:00", "“Allowed from” must be a time of day like 22:00, not '25:00'."),
        ("window_start", "٢٢:٠٠", "“Allowed from” must be a time of day like 22:00, not '٢٢:٠٠'."),
        ("window_start", 22, "“Allowed from” must be a time of day like 22:00, not 22."),
        ("theme", "pink", "“Colours” must be one of system, light, dark, not 'pink'."),
        (
            "pause_until",
            "2025-03-04T10:00:00",
            "“Paused until” must be a date and time with a time zone, or nothing, not '2025-03-04T10:00:00'.",
        ),
        ("base_model", "a\x1b[2Jb", "“Base model” must be a text, not 'a\\x1b[2Jb'."),
        ("excluded_topics", "taxes", "“Topics left out” must be a list of texts, not 'taxes'."),
        ("excluded_topics", ["taxes", 3], "“Topics left out” must be a list of texts, not a list."),
    ],
)
def test_a_bad_value_is_refused_in_a_sentence_that_names_what_is_allowed(name, value, sentence):
    with pytest.raises(SettingError) as refusal:
        check(name, value)
    assert refusal.value.message == sentence
    assert refusal.value.remedy.startswith("The default is ")
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize(
    "value",
    [10**400, -(10**400), 10**5000, float("inf"), "9" * 100_000],
    ids=["huge", "minus huge", "beyond decimal form", "infinite", "long text"],
)
def test_absurdly_large_values_are_refused_in_a_short_sentence(value):
    with pytest.raises(SettingError) as refusal:
        check("hours_between_episodes", value)
    assert len(refusal.value.message) < 200


def test_times_with_seconds_or_a_zone_are_refused():
    for value in (time(22, 0, 30), time(22, 0, tzinfo=timezone.utc)):
        with pytest.raises(SettingError):
            check("window_start", value)


def test_a_moment_at_the_edge_of_the_calendar_is_refused_not_a_crash():
    edge = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))
    with pytest.raises(SettingError):
        check("pause_until", edge)


def test_an_unknown_name_is_refused_with_the_similar_ones():
    with pytest.raises(SettingError) as refusal:
        check("min_qualty", 0.5)
    assert refusal.value.message == "There is no setting called 'min_qualty'."
    assert "min_quality" in refusal.value.remedy


@with_settings(max_examples=40)
@given(st.sampled_from(sorted(SPECS)), json_values)
def test_whatever_json_holds_is_either_typed_or_refused(name, value):
    try:
        typed = check(name, value)
    except SettingError:
        return
    assert check(name, typed) == typed


@with_settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted(SPECS)) | st.text(), json_values, max_size=8))
def test_loading_nonsense_warns_and_never_fails(saved):
    preferences, warnings = from_saved(saved)
    assert isinstance(preferences, Preferences)
    assert len(warnings) >= sum(name not in SPECS for name in saved)
    for spec in option_specs():
        assert spec.check(getattr(preferences, spec.name)) == getattr(preferences, spec.name)


def test_loading_keeps_the_good_values_and_warns_of_the_bad_ones():
    preferences, warnings = from_saved(
        {"min_quality": 0.6, "idle_minutes": -1, "colour_of_the_moon": 3, "theme": "dark"}
    )
    assert preferences == replace(DEFAULTS, min_quality=0.6, theme=Theme.DARK)
    assert warnings == (
        "A saved setting was left out. “Away for” must be between 0.1 and 240 minutes, not -1.",
        "A saved setting was left out. There is no setting called 'colour_of_the_moon'.",
    )


def test_loading_thresholds_in_the_wrong_order_falls_back_to_both_defaults():
    preferences, warnings = from_saved({"cpu_hot_celsius": 60, "cpu_cool_celsius": 65})
    assert (preferences.cpu_hot_celsius, preferences.cpu_cool_celsius) == (85, 70)
    assert len(warnings) == 1
    preferences, warnings = from_saved({"gpu_hot_celsius": 50})
    assert (preferences.gpu_hot_celsius, preferences.gpu_cool_celsius) == (80, 65)
    assert len(warnings) == 1


@with_settings(max_examples=40)
@given(any_preferences)
def test_what_was_saved_as_json_loads_as_it_was(preferences):
    named = from_saved(to_saved(preferences))[0]
    again, warnings = from_saved(json.loads(json.dumps(to_saved(named))))
    assert (again, warnings) == (named, ())
    assert named == replace(preferences, eagerness=named.eagerness)


def test_defaults_save_nothing():
    assert to_saved(DEFAULTS) == {}
    assert from_saved({}) == (DEFAULTS, ())


@pytest.mark.parametrize("eagerness", sorted(PRESETS))
def test_a_preset_sets_its_values_and_is_saved_by_its_name_alone(eagerness):
    preferences = changed(DEFAULTS, "eagerness", eagerness)
    for name, value in PRESETS[eagerness].items():
        assert getattr(preferences, name) == value
    expected = {} if eagerness is Eagerness.BALANCED else {"eagerness": eagerness.value}
    assert to_saved(preferences) == expected
    assert from_saved(to_saved(preferences)) == (preferences, ())


def test_every_preset_governs_the_same_options_with_values_their_checks_accept():
    assert len({frozenset(values) for values in PRESETS.values()}) == 1
    for values in PRESETS.values():
        for name, value in values.items():
            assert check(name, value) == value
    assert all(getattr(DEFAULTS, name) == value for name, value in PRESETS[Eagerness.BALANCED].items())


def test_changing_a_value_of_a_preset_by_hand_makes_it_custom():
    gentle = changed(DEFAULTS, "eagerness", "gentle")
    custom = changed(gentle, "idle_minutes", 7)
    assert custom.eagerness is Eagerness.CUSTOM
    assert custom.min_new_conversations == 100
    assert from_saved(to_saved(custom)) == (custom, ())


def test_off_keeps_the_values_as_they_are():
    off = changed(changed(DEFAULTS, "eagerness", "eager"), "eagerness", "off")
    assert off.eagerness is Eagerness.OFF
    assert off.min_new_conversations == 20
    assert changed(off, "idle_minutes", 9).eagerness is Eagerness.OFF
    assert from_saved(to_saved(off)) == (off, ())


def test_changing_another_option_leaves_the_preset_alone():
    assert changed(DEFAULTS, "theme", "dark").eagerness is Eagerness.BALANCED


def test_thresholds_may_not_cross():
    with pytest.raises(SettingError) as refusal:
        changed(DEFAULTS, "cpu_cool_celsius", 90)
    assert refusal.value.message == (
        "“Processor cool again below” must be less than “Processor too hot at”; these would be 90 and 85 °C."
    )
    assert changed(DEFAULTS, "cpu_cool_celsius", 80).cpu_cool_celsius == 80


def test_a_single_value_has_a_json_form():
    assert saved_value(DEFAULTS, "window_start") == "22:00"
    assert saved_value(DEFAULTS, "theme") == "system"
    assert saved_value(DEFAULTS, "excluded_topics") == []
