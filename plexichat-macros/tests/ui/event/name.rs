//! Names that are missing, no text, or break the rule.
#[plexichat::event]
pub struct Nameless {}

#[plexichat::event(ready)]
pub struct Unquoted {}

#[plexichat::event("custom.ready")]
pub struct Prefixed {}

#[plexichat::event("report-ready")]
pub struct Dashed {}

fn main() {}
