//! What is kept of plugins, and their own keys and values.

use async_trait::async_trait;
use plexichat::capability::storage::{StoragePort, Versioned};
use plexichat::error::Result;
use plexichat::id::PluginName;
use plexichat::store::{PluginData, PluginRecord, PluginStore, StoreError};
use rusqlite::OptionalExtension;
use serde_json::Value;

use super::values::{bound, count, json};
use super::{Store, automation};

#[async_trait]
impl PluginStore for Store {
    async fn plugins(&self) -> std::result::Result<Vec<PluginRecord>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT record FROM plugins ORDER BY name")?;
            let records = statement.query_map([], |row| json(row, 0))?;
            records.collect()
        })
        .await
    }

    async fn save_plugin(&self, record: PluginRecord) -> std::result::Result<(), StoreError> {
        let text = serde_json::to_string(&record).map_err(|error| {
            StoreError::Failed(format!("plugin `{}` cannot be written as JSON: {error}", record.name))
        })?;
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO plugins (name, record) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET record = excluded.record",
                )?
                .execute((record.name.as_str(), text))?;
            Ok(Ok(()))
        })
        .await
    }

    async fn remove_plugin(&self, name: PluginName, data: PluginData) -> std::result::Result<(), StoreError> {
        self.write(move |connection| {
            connection.prepare_cached("DELETE FROM plugins WHERE name = ?1")?.execute([name.as_str()])?;
            if data == PluginData::Remove {
                connection.prepare_cached("DELETE FROM plugin_storage WHERE plugin = ?1")?.execute([name.as_str()])?;
                automation::remove_plugin(connection, &name)?;
            }
            Ok(Ok(()))
        })
        .await
    }
}

#[async_trait]
impl StoragePort for Store {
    async fn get(&self, plugin: &PluginName, key: &str) -> Result<Option<Versioned<Value>>> {
        let (plugin, key) = (plugin.clone(), key.to_owned());
        let found = self
            .read(move |connection| {
                connection
                    .prepare_cached("SELECT value, version FROM plugin_storage WHERE plugin = ?1 AND key = ?2")?
                    .query_row((plugin.as_str(), key), |row| {
                        Ok(Versioned { value: json(row, 0)?, version: count(row, 1)? })
                    })
                    .optional()
            })
            .await?;
        Ok(found)
    }

    async fn set(&self, plugin: &PluginName, key: &str, value: Value, expected: Option<u64>) -> Result<Option<u64>> {
        let (plugin, key) = (plugin.clone(), key.to_owned());
        let set = self.write(move |connection| {
            let found: Option<u64> = connection
                .prepare_cached("SELECT version FROM plugin_storage WHERE plugin = ?1 AND key = ?2")?
                .query_row((plugin.as_str(), &key), |row| count(row, 0))
                .optional()?;
            let found = found.unwrap_or(0);
            if expected.is_some_and(|expected| expected != found) {
                return Ok(Ok::<_, StoreError>(None));
            }
            let version = found + 1;
            connection
                .prepare_cached(
                    "INSERT INTO plugin_storage (plugin, key, value, version) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (plugin, key) DO UPDATE SET value = excluded.value, version = excluded.version",
                )?
                .execute((plugin.as_str(), key, value.to_string(), bound(version)))?;
            Ok(Ok(Some(version)))
        });
        Ok(set.await?)
    }

    async fn remove(&self, plugin: &PluginName, key: &str) -> Result<bool> {
        let (plugin, key) = (plugin.clone(), key.to_owned());
        let remove = self.write(move |connection| {
            let removed = connection
                .prepare_cached("DELETE FROM plugin_storage WHERE plugin = ?1 AND key = ?2")?
                .execute((plugin.as_str(), key))?;
            Ok(Ok::<_, StoreError>(removed == 1))
        });
        Ok(remove.await?)
    }

    async fn keys(&self, plugin: &PluginName, prefix: &str) -> Result<Vec<String>> {
        let (plugin, prefix) = (plugin.clone(), prefix.to_owned());
        let keys = self
            .read(move |connection| {
                // The keys with a prefix stand together, from the prefix on.
                let mut statement = connection
                    .prepare_cached("SELECT key FROM plugin_storage WHERE plugin = ?1 AND key >= ?2 ORDER BY key")?;
                let mut rows = statement.query((plugin.as_str(), &prefix))?;
                let mut keys = Vec::new();
                while let Some(row) = rows.next()? {
                    let key: String = row.get(0)?;
                    if !key.starts_with(&prefix) {
                        break;
                    }
                    keys.push(key);
                }
                Ok(keys)
            })
            .await?;
        Ok(keys)
    }
}
