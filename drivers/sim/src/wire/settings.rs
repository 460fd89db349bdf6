//! What is set at a simulated device that has models by which it would work by itself. It does nothing of it: its curves are off.
//!
//! Sources: the defaults of IEEE 1547-2018, category B, as the laws of the engine have them; 1 pu of frequency is 50 Hz.

/// A number with a sign, as a register holds it.
const fn signed(number: i16) -> u16 {
    number as u16
}

/// Models, and what which of their registers hold, counted from their ids; each curve is the first one, which is in force.
pub(super) const SET: [(u16, &[(u16, u16)]); 5] = [
    // It has no direct-current inputs that it would tell of.
    (160, &[(8, 0)]),
    // It may enter service at 91.7 % to 105 % and 49.58 Hz to 50.08 Hz after 300 s, and takes as long for all of its power.
    (
        703,
        &[
            (2, 1),
            (3, 1_050),
            (4, 917),
            (5, 0),
            (6, 5_008),
            (7, 0),
            (8, 4_958),
            (9, 0),
            (10, 300),
            (13, 0),
            (14, 300),
            (17, signed(-1)),
            (18, signed(-2)),
        ],
    ),
    // Four points, in percent of the nominal voltage and of the most apparent power, within 5 s.
    (
        705,
        &[
            (2, 0),
            (3, 0),
            (4, 1),
            (5, 4),
            (6, 1),
            (12, signed(-2)),
            (13, signed(-2)),
            (14, 0),
            (15, 4),
            (16, 3),
            (17, 1),
            (22, 0),
            (23, 5),
            (24, 1),
            (25, 9_200),
            (26, 4_400),
            (27, 9_800),
            (28, 0),
            (29, 10_200),
            (30, 0),
            (31, 10_800),
            (32, signed(-4_400)),
        ],
    ),
    // Two points, in percent of the nominal voltage and of the most active power, within 10 s.
    (
        706,
        &[
            (2, 0),
            (3, 0),
            (4, 1),
            (5, 2),
            (6, 1),
            (12, signed(-2)),
            (13, signed(-2)),
            (14, 0),
            (15, 2),
            (16, 0),
            (17, 0),
            (18, 10),
            (19, 1),
            (20, 10_600),
            (21, 10_000),
            (22, 11_000),
            (23, 0),
        ],
    ),
    // A dead band of 36 mHz either way, and a droop of 5 %, within 5 s.
    (
        711,
        &[
            (2, 0),
            (3, 1),
            (4, 1),
            (5, 1),
            (11, signed(-3)),
            (12, signed(-3)),
            (13, 0),
            (14, 0),
            (15, 36),
            (16, 0),
            (17, 36),
            (18, 50),
            (19, 50),
            (20, 0),
            (21, 5),
            (22, 0),
            (23, 1),
        ],
    ),
];
