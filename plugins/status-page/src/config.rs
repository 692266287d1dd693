//! The settings: what is shown to whom, and from when something is not well. Knows no figure.

/// Settings of the status page.
#[plexichat::config]
pub struct Config {
    /// What the page is called.
    #[serde(default = "default_title")]
    #[garde(length(min = 1, max = 80))]
    pub title: String,
    /// Whether people who are not signed in may ask for the status.
    #[serde(default = "yes")]
    pub public: bool,
    /// What is shown: `server`, `delivery`, and plugins by their names. Where it is empty: all of it.
    #[serde(default)]
    #[garde(length(max = 100), inner(length(min = 1, max = 40)))]
    pub components: Vec<String>,
    /// From when something is not well.
    #[serde(default)]
    #[garde(dive, custom(check_thresholds))]
    pub thresholds: Thresholds,
}

/// From when something is not well.
#[plexichat::config]
#[derive(Copy)]
pub struct Thresholds {
    /// Messages wait so many seconds until plugins are told of them: delivery is degraded.
    #[serde(default = "default_degraded")]
    #[garde(range(min = 1, max = 86_400))]
    pub delivery_degraded_secs: u32,
    /// They wait so many seconds: delivery is down.
    #[serde(default = "default_down")]
    #[garde(range(min = 1, max = 86_400))]
    pub delivery_down_secs: u32,
    /// So many of 100 calls of a plugin failed within the last minute: it is degraded.
    #[serde(default = "default_failures")]
    #[garde(range(min = 1, max = 100))]
    pub plugin_failures_percent: u8,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            delivery_degraded_secs: default_degraded(),
            delivery_down_secs: default_down(),
            plugin_failures_percent: default_failures(),
        }
    }
}

fn default_title() -> String {
    "Status".to_owned()
}

fn yes() -> bool {
    true
}

fn default_degraded() -> u32 {
    5
}

fn default_down() -> u32 {
    60
}

fn default_failures() -> u8 {
    10
}

fn check_thresholds(thresholds: &Thresholds) -> std::result::Result<(), &'static str> {
    match thresholds.delivery_degraded_secs < thresholds.delivery_down_secs {
        true => Ok(()),
        false => Err("`delivery_degraded_secs` has to be less than `delivery_down_secs`"),
    }
}
