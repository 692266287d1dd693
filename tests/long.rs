//! What takes too long for every run; `cargo xtask test --long` asks for it.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `cargo xtask test --long` runs it"]
async fn a_thousand_kills() {
    crate::kill::kill_under_load(1000).await;
}

/// Runs of workflows, at length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `cargo xtask test --long` runs it"]
async fn five_hundred_kills_of_runs() {
    crate::automation::kill_runs(500).await;
}

/// Fault 49, at length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `cargo xtask test --long` runs it"]
async fn a_thousand_power_cuts() {
    crate::power::survives(1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `cargo xtask test --long` runs it"]
async fn two_thousand_listen_and_one_does_not_read() {
    crate::live::one_does_not_read(2000, 40).await;
}
