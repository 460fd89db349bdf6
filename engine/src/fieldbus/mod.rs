//! Fieldbus: Modbus as machines that move no bytes themselves.
//!
//! - [`frame`] finds data units in a stream, [`rtu`] on a [`serial`] line, and [`framing`] is the seam between them; [`pdu`]
//!   says what they ask and answer, [`refusal`] why not; [`register`] what a number is in them;
//! - [`plan`] makes few requests of what a [`map`] names, or a device says itself by the models of [`sunspec`], and
//!   [`mod@write`] those that write; [`master`] asks them of the units behind a connection, one at a time;
//! - [`bus`] stands between a controller and its driver, and turns polls and set-points into all that.

pub mod bus;
pub mod frame;
pub mod framing;
pub mod map;
pub mod master;
pub mod pdu;
pub mod plan;
pub mod refusal;
pub mod register;
pub mod rtu;
pub mod serial;
pub mod sunspec;
pub mod write;
