//! What can be asked of a daemon: one table, from which requests are served and the API's description is made.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};
use futures_util::stream::unfold;
use serde::Deserialize;

use super::commands::Trouble;
use super::server::{FOLLOWERS_MAX, Peer};
use super::told::Told;
use super::{Api, openapi, orders};
use crate::api::{Maintenance, Refusal, Snapshot, Sole, SwitchOver, VERSION, VERSION_HEADER};
use crate::explanation::Point;

/// Largest body of a request: what is asked for is a few names.
const BODY_MAX: usize = 16 << 10;
/// So long an answer may take to begin, body of the request included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// So many events go into one piece of an answer.
const EVENTS_AT_ONCE: usize = 256;

/// The media type of lines of JSON.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// The media type of metrics.
pub(super) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Something that can be asked.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) method: Method,
    pub(super) summary: &'static str,
    /// Arguments in the query.
    pub(super) query: &'static [Argument],
    /// The name of the schema of the request's body.
    pub(super) takes: Option<&'static str>,
    /// The status of success, the media type of the answer, and the name of its schema.
    pub(super) gives: (u16, &'static str, Option<&'static str>),
    serve: fn() -> MethodRouter<Arc<Api>>,
}

/// An argument in a query.
pub(super) struct Argument {
    pub(super) name: &'static str,
    /// The name of a type of JSON.
    pub(super) kind: &'static str,
    /// Whether it must be there.
    pub(super) is_required: bool,
    pub(super) meaning: &'static str,
}

impl Argument {
    const fn optional(name: &'static str, kind: &'static str, meaning: &'static str) -> Self {
        Self { name, kind, is_required: false, meaning }
    }

    const fn required(name: &'static str, kind: &'static str, meaning: &'static str) -> Self {
        Self { name, kind, is_required: true, meaning }
    }
}

/// How something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// It changes nothing.
    Get,
    /// It changes something.
    Post,
}

/// The media type of most answers.
pub(super) const JSON: &str = "application/json";

/// Everything that can be asked.
pub(super) const ROUTES: [Route; 16] = [
    Route {
        path: "/v1/status",
        method: Method::Get,
        summary: "How everything is: who is active, what devices do, what is not as it should be",
        query: &[],
        takes: None,
        gives: (200, JSON, Some("Status")),
        serve: || get(status),
    },
    Route {
        path: "/v1/points",
        method: Method::Get,
        summary: "Every point as every controller sees it, with quality and age",
        query: &[],
        takes: None,
        gives: (200, JSON, Some("Points")),
        serve: || get(points),
    },
    Route {
        path: "/v1/events",
        method: Method::Get,
        summary: "Events, one JSON object a line; a gap in their numbers is what was lost",
        query: &[
            Argument::optional(
                "from",
                "integer",
                "the number of the first event, by default the oldest that is kept",
            ),
            Argument::optional("follow", "boolean", "true: the answer goes on with what happens"),
        ],
        takes: None,
        gives: (200, NDJSON, Some("EventLine")),
        serve: || get(events),
    },
    Route {
        path: "/v1/config",
        method: Method::Get,
        summary: "The configuration in effect: the scenario and the site as texts",
        query: &[],
        takes: None,
        gives: (200, JSON, Some("Config")),
        serve: || get(config),
    },
    Route {
        path: "/v1/explain",
        method: Method::Get,
        summary: "Why set-points are what they are, by the active controller of the device's grid",
        query: &[Argument::required("point", "string", "grid/device or grid/device.point")],
        takes: None,
        gives: (200, JSON, Some("Explained")),
        serve: || get(explain),
    },
    Route {
        path: "/v1/switchover",
        method: Method::Post,
        summary: "Moves authority to another controller",
        query: &[],
        takes: Some("SwitchOver"),
        gives: (200, JSON, Some("Done")),
        serve: || post(switch_over),
    },
    Route {
        path: "/v1/maintenance",
        method: Method::Post,
        summary: "Takes a controller out of the candidates, or lets it be one again",
        query: &[],
        takes: Some("Maintenance"),
        gives: (200, JSON, Some("Done")),
        serve: || post(maintenance),
    },
    Route {
        path: "/v1/sole",
        method: Method::Post,
        summary: "Makes a controller the majority on its own, as an operator vouches that all others are off; or ends that",
        query: &[],
        takes: Some("Sole"),
        gives: (200, JSON, Some("Done")),
        serve: || post(sole),
    },
    Route {
        path: "/v1/setpoint",
        method: Method::Post,
        summary: "Gives a device a set-point by hand, for at most an hour, where a Manual function of the site takes it",
        query: &[],
        takes: Some("SetPoint"),
        gives: (200, JSON, Some("Done")),
        serve: || post(orders::set_point),
    },
    Route {
        path: "/v1/release",
        method: Method::Post,
        summary: "Withdraws a set-point by hand",
        query: &[],
        takes: Some("Release"),
        gives: (200, JSON, Some("Done")),
        serve: || post(orders::release),
    },
    Route {
        path: "/v1/emergencystop",
        method: Method::Post,
        summary: "Holds every set-point of a grid at 0 until it is reset, or resets it; this is no safety function",
        query: &[],
        takes: Some("EmergencyStop"),
        gives: (200, JSON, Some("Done")),
        serve: || post(orders::emergency_stop),
    },
    Route {
        path: "/v1/mode",
        method: Method::Post,
        summary: "Has a grid run by its functions, held where it is for a while, or at rest",
        query: &[],
        takes: Some("Mode"),
        gives: (200, JSON, Some("Done")),
        serve: || post(orders::mode),
    },
    Route {
        path: "/v1/snapshot",
        method: Method::Post,
        summary: "Keeps the state of a controller as it is now, at the beginning of a new segment of its log",
        query: &[],
        takes: Some("Snapshot"),
        gives: (200, JSON, Some("Done")),
        serve: || post(snapshot),
    },
    Route {
        path: "/v1/shutdown",
        method: Method::Post,
        summary: "Ends the daemon in order",
        query: &[],
        takes: None,
        gives: (202, JSON, Some("Done")),
        serve: || post(shut_down),
    },
    Route {
        path: "/v1/openapi.json",
        method: Method::Get,
        summary: "This description",
        query: &[],
        takes: None,
        gives: (200, JSON, None),
        serve: || get(describe),
    },
    Route {
        path: "/metrics",
        method: Method::Get,
        summary: "Metrics for Prometheus",
        query: &[],
        takes: None,
        gives: (200, PROMETHEUS, None),
        serve: || get(metrics),
    },
];

/// What is served to whom.
#[derive(Clone, Copy, Debug)]
enum Served {
    /// Every route.
    All,
    /// Those that change nothing.
    Reading,
}

impl Served {
    fn routes(self) -> impl Iterator<Item = &'static Route> {
        ROUTES.iter().filter(move |route| match self {
            Self::All => true,
            Self::Reading => route.method == Method::Get,
        })
    }
}

/// Serves every route.
pub(super) fn router(api: Arc<Api>) -> Router {
    serving(Served::All, api)
}

/// Serves those that change nothing.
pub(super) fn reading(api: Arc<Api>) -> Router {
    serving(Served::Reading, api)
}

fn serving(served: Served, api: Arc<Api>) -> Router {
    let routes =
        served.routes().fold(Router::new(), |router, route| router.route(route.path, (route.serve)()));
    routes
        .layer(Extension(served))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "there is no such path; /v1/openapi.json lists all"))
        .method_not_allowed_fallback(async || {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "the path is asked in another way; see /v1/openapi.json")
        })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(within_bounds))
        .with_state(api)
}

/// Bounds the time to an answer, and says whose it is.
async fn within_bounds(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await;
    let mut answer = answered
        .unwrap_or_else(|_elapsed| refuse(StatusCode::REQUEST_TIMEOUT, "the request did not come in time"));
    answer.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    answer
}

pub(super) fn refuse(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(Refusal { error: error.into() })).into_response()
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Self::Unknown(error) => refuse(StatusCode::NOT_FOUND, error),
            Self::Conflict(error) => refuse(StatusCode::CONFLICT, error),
            Self::Busy(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, error),
        }
    }
}

async fn status(State(api): State<Arc<Api>>) -> Response {
    Json(api.status()).into_response()
}

async fn points(State(api): State<Arc<Api>>) -> Response {
    Json(api.points()).into_response()
}

async fn config(State(api): State<Arc<Api>>) -> Response {
    Json(api.effective.config()).into_response()
}

async fn metrics(State(api): State<Arc<Api>>) -> Response {
    ([(header::CONTENT_TYPE, PROMETHEUS)], api.scrape()).into_response()
}

async fn describe(Extension(served): Extension<Served>) -> Response {
    Json(openapi::document(served.routes())).into_response()
}

/// From which event on, and whether that goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    from: u64,
    #[serde(default)]
    follow: bool,
}

async fn events(State(api): State<Arc<Api>>, wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    let Wanted { from, follow } = match wanted {
        Ok(Query(wanted)) => wanted,
        Err(rejected) => return refuse(rejected.status(), rejected.body_text()),
    };
    let place = if follow { Arc::clone(&api.followers).try_acquire_owned().map(Some) } else { Ok(None) };
    let Ok(place) = place else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "{FOLLOWERS_MAX} clients follow events already; end one of them, or ask without following"
            ),
        );
    };
    let newest = api.newest.subscribe();
    // The body must not keep the service's own end from being seen.
    let api = Arc::downgrade(&api);
    // The place is free again when the answer has ended, however it did.
    let pieces = unfold((from, newest, place), move |(next, mut newest, place)| {
        let api = api.clone();
        async move {
            loop {
                newest.mark_unchanged();
                // Looked at before the events: what comes with the end is still told.
                let api = api.upgrade()?;
                let is_over = api.is_over.load(Ordering::Acquire);
                let (piece, next) = piece(&api, next);
                drop(api);
                if !piece.is_empty() {
                    return Some((
                        Ok::<_, std::convert::Infallible>(Bytes::from(piece)),
                        (next, newest, place),
                    ));
                }
                if !follow || is_over {
                    return None;
                }
                newest.changed().await.ok()?;
            }
        }
    });
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(pieces)).into_response()
}

/// Lines of events from a number on, and the number after them.
fn piece(api: &Api, from: u64) -> (String, u64) {
    let (mut lines, mut next) = (String::new(), from);
    for entry in api.history().from(from, EVENTS_AT_ONCE) {
        lines += &serde_json::to_string(&entry.line).expect("its keys are strings");
        lines.push('\n');
        next = entry.line.number + 1;
    }
    (lines, next)
}

/// Of which device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfPoint {
    point: String,
}

async fn explain(State(api): State<Arc<Api>>, wanted: Result<Query<OfPoint>, QueryRejection>) -> Response {
    let point = match wanted {
        Ok(Query(OfPoint { point })) => point,
        Err(rejected) => return refuse(rejected.status(), rejected.body_text()),
    };
    let wanted: Point = match point.parse() {
        Ok(wanted) => wanted,
        Err(reason) => return refuse(StatusCode::BAD_REQUEST, format!("point '{point}': {reason}")),
    };
    api.explain(&wanted).map(Json).into_response()
}

async fn switch_over(State(api): State<Arc<Api>>, Told { peer, wanted }: Told<SwitchOver>) -> Response {
    let (grid, to) = (&wanted.grid, wanted.to.as_ref().map(|to| format!("{to:?}")));
    let to = to.as_deref().unwrap_or("the best standby");
    peer.does(format_args!("asks to switch {grid:?} over to {to}"));
    api.switch_over(&wanted).await.map(Json).into_response()
}

async fn maintenance(State(api): State<Arc<Api>>, Told { peer, wanted }: Told<Maintenance>) -> Response {
    let (controller, on) = (&wanted.controller, if wanted.on { "on" } else { "off" });
    peer.does(format_args!("turns maintenance of {controller:?} {on}"));
    api.maintenance(&wanted).await.map(Json).into_response()
}

async fn sole(State(api): State<Arc<Api>>, Told { peer, wanted }: Told<Sole>) -> Response {
    let controller = &wanted.controller;
    if wanted.on {
        peer.does(format_args!("vouches that all others are off, and declares {controller:?} sole"));
    } else {
        peer.does(format_args!("ends that {controller:?} is sole"));
    }
    api.sole(&wanted).await.map(Json).into_response()
}

async fn snapshot(State(api): State<Arc<Api>>, Told { peer, wanted }: Told<Snapshot>) -> Response {
    peer.does(format_args!("asks for a snapshot of {:?}", wanted.controller));
    api.snapshot(&wanted).await.map(Json).into_response()
}

async fn shut_down(State(api): State<Arc<Api>>, Extension(peer): Extension<Peer>) -> Response {
    peer.does(format_args!("ends the daemon"));
    (StatusCode::ACCEPTED, Json(api.shut_down())).into_response()
}
