//! The process image: what a controller knows of its grid, each value with unit, quality, age and measuring time.
//!
//! - [`device`] says which devices and points a controller has;
//! - [`mode`] says what a device tells of itself as a whole;
//! - [`kinds`] is the set of points of one device, and their order;
//! - [`image`] holds the newest value of each point and judges its quality;
//! - [`history`] keeps a device's recent power, so that two measurements can be added at one instant.

pub mod device;
pub mod history;
pub mod image;
pub mod kinds;
pub mod mode;

pub use device::{Connections, DeviceClass, DeviceSpec, Dimension, PointKind, Positive, Priority};
pub use history::History;
pub use image::{Image, Point, Quality};
pub use kinds::PointKinds;
pub use mode::DeviceMode;
