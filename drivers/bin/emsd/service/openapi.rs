//! The description of the control API, made from the table of routes and the types of the answers.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::routes::{Argument, JSON, Method, Route};
use crate::api;

/// The description of these routes, in OpenAPI 3.1.
pub(super) fn document(routes: impl Iterator<Item = &'static Route>) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let method = match route.method {
            Method::Get => "get",
            Method::Post => "post",
        };
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "r-emsd control API", "version": api::VERSION },
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

fn operation(route: &Route) -> Value {
    let (status, media, schema) = route.gives;
    let body = |schema: &str| json!({ "$ref": format!("#/components/schemas/{schema}") });
    let text = if media == JSON { "object" } else { "string" };
    let given = schema.map_or_else(|| json!({ "type": text }), body);
    let refusal = json!({
        "description": "What is wrong, and the remedy",
        "content": { "application/json": { "schema": body("Refusal") } },
    });
    let content = json!({ media: { "schema": given } });
    let mut operation = json!({
        "summary": route.summary,
        "responses": {
            status.to_string(): { "description": route.summary, "content": content },
            "default": refusal,
        },
    });
    if !route.query.is_empty() {
        let parameter = |Argument { name, kind, is_required, meaning }: &Argument| {
            let schema = json!({ "type": kind });
            json!({ "name": name, "in": "query", "description": meaning, "required": is_required, "schema": schema })
        };
        operation["parameters"] = route.query.iter().map(parameter).collect();
    }
    if let Some(taken) = route.takes {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body(taken) } } });
    }
    operation
}

/// The schemas of everything that is told as JSON.
fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    add::<api::Status>(&mut generator);
    add::<api::Points>(&mut generator);
    add::<api::EventLine>(&mut generator);
    add::<api::Config>(&mut generator);
    add::<api::Explained>(&mut generator);
    add::<api::SwitchOver>(&mut generator);
    add::<api::Maintenance>(&mut generator);
    add::<api::Sole>(&mut generator);
    add::<api::SetPoint>(&mut generator);
    add::<api::Release>(&mut generator);
    add::<api::EmergencyStop>(&mut generator);
    add::<api::Mode>(&mut generator);
    add::<api::Snapshot>(&mut generator);
    add::<api::Done>(&mut generator);
    add::<api::Refusal>(&mut generator);
    generator.take_definitions(true)
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    // It is kept among the definitions, where others refer to it.
    let _reference = generator.subschema_for::<T>();
}

#[cfg(test)]
mod tests {
    use super::super::routes::ROUTES;
    use super::*;

    #[test]
    fn an_argument_says_its_type_and_whether_it_must_be_there() {
        let document = document(ROUTES.iter());
        let first = |path: &str| {
            let argument = &document["paths"][path]["get"]["parameters"][0];
            (argument["schema"]["type"].clone(), argument["required"].clone())
        };
        assert_eq!(first("/v1/events"), ("integer".into(), false.into()));
        assert_eq!(first("/v1/explain"), ("string".into(), true.into()));
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = document(ROUTES.iter());
        let mut open = vec![&document];
        let mut found = 0;
        while let Some(value) = open.pop() {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(reference)) = fields.get("$ref") {
                        let pointer = reference.strip_prefix('#').expect("within the document");
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                        found += 1;
                    }
                    open.extend(fields.values());
                }
                Value::Array(values) => open.extend(values),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        assert!(found > ROUTES.len(), "{found}");
    }
}
