//! Variables of a text that are missing, unknown, given twice or not a variable at all.

fn main() {
    let _ = plexichat::t!("greeting");
    let _ = plexichat::t!("greeting", nam = "Ada");
    let _ = plexichat::t!("greeting", name = "Ada", name = "Bob");
    let _ = plexichat::t!("plain", name = "Ada");
    let _ = plexichat::t!(greeting);
    let _ = plexichat::t!("greeting", "Ada");
}
