//! Times as people write them, at a fixed moment, and what they mean.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;

/// Monday.
const NOW: &str = "2026-11-23T10:30:00+00:00[UTC]";

fn reading(now: &str) -> Reading {
    Reading { now: now.parse().unwrap(), morning: civil::time(9, 0, 0, 0), shortest: 300 }
}

fn shown(when: &When, zone: &TimeZone) -> String {
    match when {
        When::Once(moment) => moment.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string(),
        When::Calendar { expression, meaning } => format!("{expression} = {meaning}"),
        When::Every { seconds, meaning } => format!("{seconds} s = {meaning}"),
    }
}

/// At `now`, the words mean this.
#[track_caller]
fn check_at(now: &str, words: &str, expected: &str) {
    let reading = reading(now);
    let found = match reading.split(&format!("{words} feed the cat")) {
        Ok((when, "feed the cat")) => shown(&when, reading.now.time_zone()),
        Ok((when, text)) => format!("{} with {text:?}", shown(&when, reading.now.time_zone())),
        Err(error) => format!("{error:?}"),
    };
    assert_eq!(found, expected, "{words:?}");
}

#[track_caller]
fn check(words: &str, expected: &str) {
    check_at(NOW, words, expected);
}

/// The words are no time, and the message has this in it.
#[track_caller]
fn refused(words: &str, part: &str) {
    match reading(NOW).split(words) {
        Ok(found) => panic!("{words:?}: {found:?}"),
        Err(error) => assert!(error.to_string().contains(part), "{words:?}: {error}"),
    }
}

/// When, and what to say then.
#[track_caller]
fn line(line: &str, when: &str, text: &str) {
    let reading = reading(NOW);
    let (found, said) = reading.split(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    assert_eq!((shown(&found, &TimeZone::UTC).as_str(), said), (when, text), "{line:?}");
}

#[test]
fn so_long_after_now() {
    check("in 2 hours", "Mon 2026-11-23 12:30:00 UTC");
    check("In 2 Hours,", "Mon 2026-11-23 12:30:00 UTC");
    check("in two hours", "Mon 2026-11-23 12:30:00 UTC");
    check("in an hour", "Mon 2026-11-23 11:30:00 UTC");
    check("in half an hour", "Mon 2026-11-23 11:00:00 UTC");
    check("in 1.5 hours", "Mon 2026-11-23 12:00:00 UTC");
    check("in 90 min", "Mon 2026-11-23 12:00:00 UTC");
    check("in 1h30m", "Mon 2026-11-23 12:00:00 UTC");
    check("in 2 hours and 15 minutes", "Mon 2026-11-23 12:45:00 UTC");
    check("in 2 hours, 15 minutes", "Mon 2026-11-23 12:45:00 UTC");
    check("in 5 seconds", "Mon 2026-11-23 10:30:05 UTC");
    check("in 3 days", "Thu 2026-11-26 10:30:00 UTC");
    check("in 3 days at 9", "Thu 2026-11-26 09:00:00 UTC");
    check("in a week", "Mon 2026-11-30 10:30:00 UTC");
    check("in 3 months", "Tue 2027-02-23 10:30:00 UTC");
    check("in a year", "Tue 2027-11-23 10:30:00 UTC");
}

#[test]
fn times_of_a_day() {
    check("at 17:30", "Mon 2026-11-23 17:30:00 UTC");
    check("17:30", "Mon 2026-11-23 17:30:00 UTC");
    check("at 9", "Tue 2026-11-24 09:00:00 UTC");
    check("at nine", "Tue 2026-11-24 09:00:00 UTC");
    check("at 9pm", "Mon 2026-11-23 21:00:00 UTC");
    check("9 pm", "Mon 2026-11-23 21:00:00 UTC");
    check("at 9 p.m.", "Mon 2026-11-23 21:00:00 UTC");
    check("at 12am", "Tue 2026-11-24 00:00:00 UTC");
    check("at 12:15 pm", "Mon 2026-11-23 12:15:00 UTC");
    check("at 9.45pm", "Mon 2026-11-23 21:45:00 UTC");
    check("3 o'clock", "Tue 2026-11-24 03:00:00 UTC");
    check("at noon", "Mon 2026-11-23 12:00:00 UTC");
    check("midnight", "Tue 2026-11-24 00:00:00 UTC");
    check("tonight", "Mon 2026-11-23 20:00:00 UTC");
    check("tonight at 9", "Mon 2026-11-23 21:00:00 UTC");
    check("this evening", "Mon 2026-11-23 18:00:00 UTC");
    check("at 8 in the evening", "Mon 2026-11-23 20:00:00 UTC");
    check("in the morning", "Tue 2026-11-24 09:00:00 UTC");
    check("@ 11:00", "Mon 2026-11-23 11:00:00 UTC");
}

#[test]
fn days() {
    check("tomorrow", "Tue 2026-11-24 09:00:00 UTC");
    check("tomorrow at 9", "Tue 2026-11-24 09:00:00 UTC");
    check("at 14:00 tomorrow", "Tue 2026-11-24 14:00:00 UTC");
    check("tomorrow evening at 8", "Tue 2026-11-24 20:00:00 UTC");
    check("the day after tomorrow at noon", "Wed 2026-11-25 12:00:00 UTC");
    check("today at 17:30", "Mon 2026-11-23 17:30:00 UTC");
    check("next week", "Mon 2026-11-30 09:00:00 UTC");
    check("next month at 10", "Wed 2026-12-23 10:00:00 UTC");
    check("friday", "Fri 2026-11-27 09:00:00 UTC");
    check("on Fri at 17:30", "Fri 2026-11-27 17:30:00 UTC");
    check("friday morning", "Fri 2026-11-27 09:00:00 UTC");
    // Today is Monday: before the time it is today, behind it and for `next` it is in a week.
    check("monday at 11", "Mon 2026-11-23 11:00:00 UTC");
    check("monday at 10", "Mon 2026-11-30 10:00:00 UTC");
    check("next monday at 11", "Mon 2026-11-30 11:00:00 UTC");
}

#[test]
fn dates() {
    check("2026-12-24 18:00", "Thu 2026-12-24 18:00:00 UTC");
    check("on 24 December at 18:00", "Thu 2026-12-24 18:00:00 UTC");
    check("on the 24th of December", "Thu 2026-12-24 09:00:00 UTC");
    check("December 24th, 2026 at 6pm", "Thu 2026-12-24 18:00:00 UTC");
    check("24.12.2026", "Thu 2026-12-24 09:00:00 UTC");
    check("on 24.12. at 10:00", "Thu 2026-12-24 10:00:00 UTC");
    check("jan 2", "Sat 2027-01-02 09:00:00 UTC");
    check("on 23 november at 9", "Tue 2027-11-23 09:00:00 UTC");
    check("on the 24th", "Tue 2026-11-24 09:00:00 UTC");
    check("on the 23rd at 9", "Wed 2026-12-23 09:00:00 UTC");
    check("on the 31st", "Thu 2026-12-31 09:00:00 UTC");
}

#[test]
fn again_and_again() {
    check("every monday at 10:00", "0 10 * * MON = every Monday at 10:00");
    check("every day at 9", "0 9 * * * = every day at 09:00");
    check("daily at 9:15", "15 9 * * * = every day at 09:15");
    check("every weekday", "0 9 * * MON-FRI = every weekday at 09:00");
    check("every evening", "0 18 * * * = every day at 18:00");
    check("every weekend at noon", "0 12 * * SAT,SUN = every Saturday and Sunday at 12:00");
    check("every thu, mon and tuesday at 8", "0 8 * * MON,TUE,THU = every Monday, Tuesday and Thursday at 08:00");
    check("every week on fridays at 16:00", "0 16 * * FRI = every Friday at 16:00");
    check("weekly", "0 9 * * MON = every Monday at 09:00");
    check("every month on the 1st at 9", "0 9 1 * * = on day 1 of every month at 09:00");
    check("every 15th of the month", "0 9 15 * * = on day 15 of every month at 09:00");
    check("every 31st", "0 9 31 * * = on day 31 of every month, in the months that have it, at 09:00");
    check("monthly at noon", "0 12 23 * * = on day 23 of every month at 12:00");
    check("every 2 hours", "7200 s = every 2 hours");
    check("every hour", "3600 s = every hour");
    check("every 30min", "1800 s = every 30 minutes");
}

#[test]
fn the_clocks_change() {
    // On 29 March 2026 at 2:00 they go to 3:00 in Berlin, on 25 October at 3:00 back to 2:00.
    let before_spring = "2026-03-28T12:00:00+01:00[Europe/Berlin]";
    check_at(before_spring, "in 24 hours", "Sun 2026-03-29 13:00:00 CEST");
    check_at(before_spring, "in a day", "Sun 2026-03-29 12:00:00 CEST");
    check_at(before_spring, "tomorrow at 9", "Sun 2026-03-29 09:00:00 CEST");
    check_at(before_spring, "tomorrow at 2:30", "Sun 2026-03-29 03:30:00 CEST");
    let before_autumn = "2026-10-24T12:00:00+02:00[Europe/Berlin]";
    check_at(before_autumn, "in 24 hours", "Sun 2026-10-25 11:00:00 CET");
    check_at(before_autumn, "in 1 day", "Sun 2026-10-25 12:00:00 CET");
    check_at(before_autumn, "tomorrow at 2:30", "Sun 2026-10-25 02:30:00 CEST");
    // Within the hour that comes twice, the second one is still ahead by the clock.
    check_at("2026-10-25T02:45:00+02:00[Europe/Berlin]", "in 30 minutes", "Sun 2026-10-25 02:15:00 CET");
    // Near midnight it is another day elsewhere.
    check_at("2026-11-23T23:30:00-05:00[America/New_York]", "tomorrow at 9", "Tue 2026-11-24 09:00:00 EST");
}

#[test]
fn the_time_stands_first_or_last() {
    line("in 2 hours to call Ann", "Mon 2026-11-23 12:30:00 UTC", "call Ann");
    line("to call Ann in 2 hours", "Mon 2026-11-23 12:30:00 UTC", "call Ann");
    line("call Ann tomorrow at 9", "Tue 2026-11-24 09:00:00 UTC", "call Ann");
    line("tomorrow: read  the\nnews", "Tue 2026-11-24 09:00:00 UTC", "read  the\nnews");
    line("tomorrow at 9 three apples", "Tue 2026-11-24 09:00:00 UTC", "three apples");
    line("on friday at 9 a talk", "Fri 2026-11-27 09:00:00 UTC", "a talk");
    line("at 9 on friday morning coffee", "Fri 2026-11-27 09:00:00 UTC", "morning coffee");
    line("sun cream tomorrow", "Tue 2026-11-24 09:00:00 UTC", "sun cream");
    line("to check every box tomorrow", "Tue 2026-11-24 09:00:00 UTC", "check every box");
    line("in 2 hours tödliche Grüße 👋", "Mon 2026-11-23 12:30:00 UTC", "tödliche Grüße 👋");
}

#[test]
fn what_is_no_time_says_how_to_write_one() {
    refused("", "I find no time in that");
    refused("call Ann", "`tomorrow at 9`");
    refused("in a while to call Ann", "`in 2 hours`");
    refused("in 2 hours", "Write it behind the time");
    refused("tomorrow to", "Write it behind the time");
    refused("today at 9 tea", "23 November 2026, 09:00 has passed");
    refused("2026-11-01 tea", "has passed");
    refused("in 0 minutes tea", "has passed");
    refused("on 2028-01-01 tea", "more than a year away");
    refused("in 13 months tea", "more than a year away");
    refused("in 999999 years tea", "more than a year away");
    refused("at 25:00 tea", "`25:00` is no time of day");
    refused("at 13pm tea", "`13pm` is no time of day");
    refused("tea at 9:75", "`9:75` is no time of day");
    refused("30 february tea", "Write a day like");
    refused("2026-02-30 tea", "there is no `2026-02-30`");
    refused("24/12 tea", "either of two days");
    refused("every 2 weeks tea", "I cannot come every `2 weeks`");
    refused("every moon tea", "`every day`");
    refused("every 10 seconds tea", "5 minutes or more");
    refused("every tea", "I know");
}

#[test]
fn whatever_is_written_is_read_without_a_panic() {
    let pieces = [
        "in",
        "every",
        "on",
        "the",
        "at",
        "24",
        "1st",
        "99th",
        ".",
        "-",
        "24.12.",
        "99.99.",
        "0-0-0",
        "12:",
        ":12",
        "pm",
        "9pm",
        "🕘",
        "ß9h",
        "1h1h1h",
        "999999 years",
        "half an hour",
        "31 february 2027",
        "next month",
        "monday",
        "½",
        "a.m.",
    ];
    for first in pieces {
        for second in pieces {
            for third in ["tea", "at", "9pm", "december"] {
                for now in ["9999-12-30T22:00:00Z[UTC]", "2026-10-25T02:45:00+02:00[Europe/Berlin]"] {
                    let reading = reading(now);
                    if let Ok((When::Once(moment), _)) = reading.split(&format!("{first} {second} {third}")) {
                        assert!(moment > reading.now.timestamp() && moment < Timestamp::MAX);
                    }
                }
            }
        }
    }
}
