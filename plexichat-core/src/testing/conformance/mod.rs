//! What every store must do, as functions over the ports: the store in memory and the server's engines run the same.
//!
//! Each function makes as many fresh stores as it needs and panics with what was wrong, so it is called from a test.

mod automation;
mod changes;
mod messages;

use std::ops::Deref;

use serde_json::json;

use crate::capability::storage::StoragePort;
use crate::id::PluginName;
use crate::permission::Permission;
use crate::store::{PluginData, PluginRecord, PluginStore};

pub use automation::automation_store;
pub use messages::{Rooms, message_store};

/// Checks a plugin's keys and values. `make` gives an empty store.
///
/// # Panics
/// Where the store does something else than the port says.
pub async fn storage<S>(make: impl AsyncFn() -> S)
where
    S: Deref<Target: StoragePort>,
{
    values_have_versions(&*make().await).await;
    compare_and_set_sets_once(&*make().await).await;
    removed_keys_begin_anew(&*make().await).await;
    keys_are_sorted_and_prefixes_are_exact(&*make().await).await;
    plugins_do_not_see_each_other(&*make().await).await;
}

/// Checks what is kept of installed plugins. `make` gives an empty store.
///
/// # Panics
/// Where the store does something else than the port says.
pub async fn plugin_store<S>(make: impl AsyncFn() -> S)
where
    S: Deref<Target: PluginStore + StoragePort>,
{
    records_come_back_whole(&*make().await).await;
    uninstalling_keeps_or_removes_data(&*make().await).await;
}

async fn values_have_versions(store: &(impl StoragePort + ?Sized)) {
    let plugin = name("one");
    assert_eq!(store.get(&plugin, "key").await.expect("get"), None, "an empty store has no value");
    assert_eq!(store.set(&plugin, "key", json!({"a": [1, null, "ü"]}), None).await.expect("set"), Some(1));
    let found = store.get(&plugin, "key").await.expect("get").expect("the value that was set");
    assert_eq!((found.value, found.version), (json!({"a": [1, null, "ü"]}), 1));
    assert_eq!(store.set(&plugin, "key", json!(null), None).await.expect("set"), Some(2), "a version counts changes");
    let found = store.get(&plugin, "key").await.expect("get").expect("null is a value");
    assert_eq!((found.value, found.version), (json!(null), 2));
}

async fn compare_and_set_sets_once(store: &(impl StoragePort + ?Sized)) {
    let plugin = name("one");
    let set =
        async |value: u32, expected: u64| store.set(&plugin, "key", json!(value), Some(expected)).await.expect("set");
    assert_eq!(set(1, 7).await, None, "a version of a key that is not there");
    assert_eq!(set(1, 0).await, Some(1), "0 is a key that is not there");
    assert_eq!(set(2, 0).await, None, "0 where a key is there");
    assert_eq!(set(2, 1).await, Some(2));
    assert_eq!(set(3, 1).await, None, "an old version");
    let found = store.get(&plugin, "key").await.expect("get").expect("the key");
    assert_eq!((found.value, found.version), (json!(2), 2), "a refused change changes nothing");
}

async fn removed_keys_begin_anew(store: &(impl StoragePort + ?Sized)) {
    let plugin = name("one");
    assert!(!store.remove(&plugin, "key").await.expect("remove"), "it was not there");
    store.set(&plugin, "key", json!(1), None).await.expect("set");
    store.set(&plugin, "key", json!(2), None).await.expect("set");
    assert!(store.remove(&plugin, "key").await.expect("remove"), "it was there");
    assert_eq!(store.get(&plugin, "key").await.expect("get"), None);
    assert_eq!(store.set(&plugin, "key", json!(3), Some(0)).await.expect("set"), Some(1));
}

async fn keys_are_sorted_and_prefixes_are_exact(store: &(impl StoragePort + ?Sized)) {
    let plugin = name("one");
    // `%`, `_`, `\` and `*` mean something to engines that match by pattern; letters have case.
    for key in ["b", "a/2", "a/1", "A/1", "a%", "a_", "ab", "a\\x", "a*", "ä"] {
        store.set(&plugin, key, json!(1), None).await.expect("set");
    }
    let keys = async |prefix: &str| store.keys(&plugin, prefix).await.expect("keys");
    assert_eq!(keys("a/").await, ["a/1", "a/2"]);
    assert_eq!(keys("a%").await, ["a%"]);
    assert_eq!(keys("a_").await, ["a_"]);
    assert_eq!(keys("a\\").await, ["a\\x"]);
    assert_eq!(keys("a*").await, ["a*"]);
    assert_eq!(keys("nothing").await, [""; 0]);
    assert_eq!(
        keys("").await,
        ["A/1", "a%", "a*", "a/1", "a/2", "a\\x", "a_", "ab", "b", "ä"],
        "sorted by their bytes"
    );
}

async fn plugins_do_not_see_each_other(store: &(impl StoragePort + ?Sized)) {
    let (one, two) = (name("one"), name("one-two"));
    store.set(&one, "key", json!(1), None).await.expect("set");
    assert_eq!(store.get(&two, "key").await.expect("get"), None);
    assert_eq!(store.keys(&two, "").await.expect("keys"), [""; 0]);
    assert!(!store.remove(&two, "key").await.expect("remove"));
    assert_eq!(store.set(&two, "key", json!(2), Some(0)).await.expect("set"), Some(1));
    assert_eq!(store.get(&one, "key").await.expect("get").expect("untouched").value, json!(1));
}

async fn records_come_back_whole(store: &(impl PluginStore + ?Sized)) {
    assert_eq!(store.plugins().await.expect("plugins"), [], "an empty store has no plugin");
    let first = record("one");
    let second = PluginRecord {
        version: "2.0.0-rc.1+build".to_owned(),
        installed: false,
        enabled: true,
        granted: Some(vec![Permission::PostMessages, Permission::NetworkAccess]),
        config: json!({"prefix": "> ", "nested": {"list": [1, 2.5, null]}}),
        config_revision: 41,
        quarantined: Some((
            jiff::Timestamp::from_microsecond(1_700_000_000_123_456).expect("a time"),
            "why — ü".to_owned(),
        )),
        ..record("two")
    };
    store.save_plugin(second.clone()).await.expect("save");
    store.save_plugin(first.clone()).await.expect("save");
    assert_eq!(sorted(store).await, [first.clone(), second.clone()]);

    let second = PluginRecord { granted: Some(Vec::new()), quarantined: None, ..second };
    store.save_plugin(second.clone()).await.expect("save");
    assert_eq!(
        sorted(store).await,
        [first.clone(), second],
        "a second save replaces, and no grant is not the bundle's"
    );

    store.remove_plugin(name("two"), PluginData::Keep).await.expect("remove");
    assert_eq!(sorted(store).await, std::slice::from_ref(&first));
    store.remove_plugin(name("two"), PluginData::Keep).await.expect("removing what is gone does nothing");
    assert_eq!(sorted(store).await, [first]);
}

async fn uninstalling_keeps_or_removes_data<S: PluginStore + StoragePort + ?Sized>(store: &S) {
    for plugin in ["one", "two"] {
        store.save_plugin(record(plugin)).await.expect("save");
        store.set(&name(plugin), "key", json!(plugin), None).await.expect("set");
    }
    store.remove_plugin(name("one"), PluginData::Keep).await.expect("remove");
    assert_eq!(store.keys(&name("one"), "").await.expect("keys"), ["key"], "kept for a later install");
    store.remove_plugin(name("one"), PluginData::Remove).await.expect("remove");
    assert_eq!(store.keys(&name("one"), "").await.expect("keys"), [""; 0], "removed with the plugin");
    assert_eq!(store.keys(&name("two"), "").await.expect("keys"), ["key"], "the other plugin's data stays");
}

async fn sorted(store: &(impl PluginStore + ?Sized)) -> Vec<PluginRecord> {
    let mut records = store.plugins().await.expect("plugins");
    records.sort_by(|left, right| left.name.cmp(&right.name));
    records
}

fn record(plugin: &str) -> PluginRecord {
    PluginRecord::new(name(plugin), "1.0.0")
}

fn name(text: &str) -> PluginName {
    text.parse().expect("the conformance suite's own names are valid")
}
