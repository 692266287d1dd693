#[::core::prelude::v1::test]
/// It answers.
#[ignore = "slow"]
fn answers() -> TestResult {
    ::plexichat::testing::run(async move { Ok(()) })
}
