//! A text that `locales/en.ftl` does not have.

fn main() {
    let _ = plexichat::t!("greetin", name = "Ada");
    let _ = plexichat::t!("farewell");
}
