//! A command in the body of a request.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::de::DeserializeOwned;

use super::routes::refuse;
use super::server::Peer;

/// What is wanted, and who wants it. A body that is no command is noted with who sent it, and refused.
pub(super) struct Told<T> {
    pub(super) peer: Peer,
    pub(super) wanted: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Told<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let peer = Extension::<Peer>::from_request_parts(&mut parts, state).await;
        let Extension(peer) = peer.map_err(IntoResponse::into_response)?;
        match Json::from_request(Request::from_parts(parts, body), state).await {
            Ok(Json(wanted)) => Ok(Self { peer, wanted }),
            Err(rejected) => {
                let error = rejected.body_text();
                peer.does(format_args!("commands what is not understood: {error:?}"));
                Err(refuse(rejected.status(), error))
            }
        }
    }
}
