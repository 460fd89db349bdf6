//! Dense ids: small integers that index tables, one type per table, so that a device is never taken for a point.
//!
//! Names stay at the edges (site files, logs' headers, messages); inside a run only ids move.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u16);

        impl $name {
            /// Takes the position in a table.
            ///
            /// # Panics
            /// If the table is longer than ids can count; tables are bounded far below that.
            pub fn of(position: usize) -> Self {
                Self(u16::try_from(position).expect("tables are bounded below 65,536 entries"))
            }

            /// The position in its table.
            #[inline]
            pub const fn position(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

index!(
    /// A controller of a run: its place in the fleet.
    ControllerIndex
);
index!(
    /// A device of one controller's grid.
    DeviceIndex
);
index!(
    /// A point in one controller's process image.
    PointIndex
);
index!(
    /// A group of devices that share one set-point.
    GroupIndex
);
index!(
    /// A place in a controller's ordered stack of functions.
    SlotIndex
);
index!(
    /// A fieldbus connection of one controller.
    ConnectionIndex
);
