//! Functions that can be no test.
#[plexichat::test]
fn waits_for_nothing() {}

#[plexichat::test]
async fn takes_arguments(_: u8) {}

#[plexichat::test]
async fn generic<T>() {}

#[plexichat::test]
#[test]
async fn twice() {}

#[plexichat::test(slowly)]
async fn options() {}

#[plexichat::test]
struct NoFunction;

fn main() {}
