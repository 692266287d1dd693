//! The settings. Knows no reminder.

use jiff::civil;
use jiff::tz::TimeZone;

/// Settings of the reminders.
#[plexichat::config]
pub struct Config {
    /// The time zone of people who did not name their own with `/remind zone`, such as `Europe/Berlin`.
    #[serde(default = "default_zone")]
    #[garde(custom(check_zone))]
    pub zone: String,
    /// The time of day that is meant where somebody names a day only: `tomorrow`, `every monday`.
    #[serde(default = "default_morning")]
    #[garde(custom(check_morning))]
    pub morning: String,
    /// How many reminders one person may have at once.
    #[serde(default = "default_per_person")]
    #[garde(range(min = 1, max = 1000))]
    pub per_person: usize,
    /// The shortest time between two of a reminder that comes again and again, in minutes.
    #[serde(default = "default_shortest")]
    #[garde(range(min = 1, max = 1440))]
    pub shortest_minutes: u32,
}

impl Config {
    /// The zone of people who named none.
    pub(crate) fn zone(&self) -> TimeZone {
        TimeZone::get(&self.zone).expect("the configuration was checked")
    }

    /// What a day without a time means.
    pub(crate) fn morning(&self) -> civil::Time {
        self.morning.parse().expect("the configuration was checked")
    }
}

fn default_zone() -> String {
    "UTC".to_owned()
}

fn default_morning() -> String {
    "09:00".to_owned()
}

fn default_per_person() -> usize {
    100
}

fn default_shortest() -> u32 {
    5
}

fn check_zone(zone: &str) -> Result<(), &'static str> {
    match TimeZone::get(zone) {
        Ok(_) => Ok(()),
        Err(_) => Err("there is no such time zone: the names are like `Europe/Berlin`, `America/New_York` or `UTC`"),
    }
}

fn check_morning(time: &str) -> Result<(), &'static str> {
    match time.parse::<civil::Time>() {
        Ok(_) => Ok(()),
        Err(_) => Err("a time of day is expected, such as `09:00`"),
    }
}
