//! Names and values of a query or a path, read as what a schema says they are. Knows no call.

use serde_json::{Map, Value};

use crate::schema::walk;

/// The pairs of a query string, without their encoding; nothing where that makes no text.
pub(super) fn split(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
        })
        .collect()
}

/// The pairs as an object in which each value is what the schema says: a number, a truth, a list of what came several
/// times. What does not fit stays text, so that whoever looks at it next says where.
pub(super) fn object(schema: &Value, pairs: &[(String, String)]) -> Value {
    let mut object = Map::new();
    for (name, text) in pairs {
        let places = walk::property(schema, schema, name);
        let is_list = places.iter().any(|place| types(schema, place).contains(&"array"));
        let value = match is_list {
            true => {
                let items: Vec<&Value> = places.iter().flat_map(|place| walk::item(schema, place, 0)).collect();
                typed(schema, &items, text)
            }
            false => typed(schema, &places, text),
        };
        match object.get_mut(name) {
            Some(Value::Array(list)) => list.push(value),
            Some(before) => *before = Value::Array(vec![before.take(), value]),
            None if is_list => drop(object.insert(name.clone(), Value::Array(vec![value]))),
            None => drop(object.insert(name.clone(), value)),
        }
    }
    Value::Object(object)
}

fn typed(root: &Value, places: &[&Value], text: &str) -> Value {
    let types: Vec<&str> = places.iter().flat_map(|place| types(root, place)).collect();
    let whole = || text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok();
    let number = || text.parse().ok().and_then(serde_json::Number::from_f64).map(Value::Number);
    let truth = || text.parse::<bool>().map(Value::from).ok();
    let (is_whole, is_number) = (types.contains(&"integer"), types.contains(&"number"));
    let read = (is_whole || is_number).then(whole).flatten().or_else(|| is_number.then(number).flatten());
    read.or_else(|| types.contains(&"boolean").then(truth).flatten()).unwrap_or_else(|| Value::from(text))
}

fn types<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    let places = walk::same_place(root, schema).into_iter();
    let types = places.flat_map(|place| match &place["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => Vec::from_iter(one.as_str()),
    });
    types.collect()
}

/// A text without its percent encoding; nothing where that makes no text.
pub(crate) fn decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Option<Value>) {
        let schema = json!({ "properties": {
            "limit": { "type": ["integer", "null"] }, "all": { "type": "boolean" }, "share": { "type": "number" },
            "word": { "type": "string" }, "ids": { "type": "array", "items": { "$ref": "#/$defs/id" } },
        }, "$defs": { "id": { "type": "integer" } } });
        assert_eq!(split(query).map(|pairs| object(&schema, &pairs)), expected, "{query}");
    }

    #[test]
    fn values_are_what_the_schema_says() {
        check("", Some(json!({})));
        check("limit=7&all=true&share=0.5&word=7", Some(json!({ "limit": 7, "all": true, "share": 0.5, "word": "7" })));
        check("ids=1&ids=2", Some(json!({ "ids": [1, 2] })));
        check("ids=1", Some(json!({ "ids": [1] })));
        check("word=a+b%2Bc&&more", Some(json!({ "word": "a b+c", "more": "" })));
        // For whoever looks at it next.
        check("limit=many&word=a&word=b", Some(json!({ "limit": "many", "word": ["a", "b"] })));
        check("word=%FF", None);
        check("word=%4", None);
    }
}
