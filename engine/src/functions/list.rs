//! The list of all functions, and the macro that puts a user's own behind them.
//!
//! Functions are variants of one enum, so that a stack is a plain vector, a state has one encoding, and a log names a
//! function by its variant. A crate of your own makes its enum with [`crate::functions_with`]; the built-in functions come
//! first, so that logs of built-in stacks mean the same everywhere.

crate::functions_with! {
    /// The built-in functions.
    pub BuiltIn, BuiltInSpec {}
}

/// Makes an enum of functions: the built-in ones and yours.
///
/// ```
/// # use r_ems_engine::functions::PeakShaving as Mine;
/// r_ems_engine::functions_with! {
///     /// The laws of my site.
///     pub Laws, LawsSpec { Mine(Mine) }
/// }
/// ```
///
/// The crate that calls it needs `r-ems-engine` among its own dependencies and under that name, also if it has everything else
/// from `r-ems`: the derived code names `r_ems_engine::serde`.
///
/// A law's own name must be new: two variants of one name do not compile. To add a built-in function, add its line here.
#[macro_export]
macro_rules! functions_with {
    ($(#[$doc:meta])* $vis:vis $laws:ident, $spec:ident { $($name:ident($law:ty)),* $(,)? }) => {
        $crate::define_functions! {
            $(#[$doc])* $vis $laws, $spec {
                GridOperator($crate::functions::GridOperator),
                ConnectionLimit($crate::functions::ConnectionLimit),
                RampLimit($crate::functions::RampLimit),
                Manual($crate::functions::Manual),
                SocFloor($crate::functions::SocFloor),
                PeakShaving($crate::functions::PeakShaving),
                SelfConsumption($crate::functions::SelfConsumption),
                VoltVar($crate::functions::VoltVar),
                VoltWatt($crate::functions::VoltWatt),
                FrequencyDroop($crate::functions::FrequencyDroop),
                Lfsm($crate::functions::Lfsm),
                Fcr($crate::functions::Fcr),
                ReturnToService($crate::functions::ReturnToService),
                Pid($crate::functions::Pid),
                Schedule($crate::functions::Schedule),
                Tariff($crate::functions::Tariff),
                Gensets($crate::functions::Gensets),
                LoadShedding($crate::functions::LoadShedding),
                Reconnect($crate::functions::Reconnect),
                $($name($law),)*
            }
        }
    };
}

/// Writes the enum of functions and hands every call on to the variant; use [`crate::functions_with`].
#[doc(hidden)]
#[macro_export]
macro_rules! define_functions {
    ($(#[$doc:meta])* $vis:vis $laws:ident, $spec:ident { $($name:ident($law:ty),)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "r_ems_engine::serde")]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        $vis enum $laws { $($name($law),)* }

        /// What a site file says about a function.
        #[derive(Clone, Debug, PartialEq, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "r_ems_engine::serde")]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        $vis enum $spec { $($name(<$law as $crate::functions::Function>::Spec),)* }

        impl $crate::functions::Function for $laws {
            type Spec = $spec;

            fn build(spec: &$spec, wiring: &mut $crate::functions::Wiring<'_>) -> Self {
                match spec { $($spec::$name(spec) => Self::$name(<$law>::build(spec, wiring)),)* }
            }

            fn rank(&self) -> $crate::functions::Rank {
                match self { $(Self::$name(law) => law.rank(),)* }
            }

            fn groups(&self) -> &[$crate::ids::GroupIndex] {
                match self { $(Self::$name(law) => law.groups(),)* }
            }

            fn when(&self) -> $crate::functions::When {
                match self { $(Self::$name(law) => law.when(),)* }
            }

            fn acts_on(&self, group: $crate::ids::GroupIndex) -> bool {
                match self { $(Self::$name(law) => law.acts_on(group),)* }
            }

            fn meter(&self) -> Option<$crate::ids::DeviceIndex> {
                match self { $(Self::$name(law) => law.meter(),)* }
            }

            fn measured(&self) -> $crate::points::PointKind {
                match self { $(Self::$name(law) => law.measured(),)* }
            }

            fn signal(&self) -> Option<$crate::ids::DeviceIndex> {
                match self { $(Self::$name(law) => law.signal(),)* }
            }

            fn hear(&mut self, share: Option<$crate::units::Ratio>) {
                match self { $(Self::$name(law) => law.hear(share),)* }
            }

            fn on_loss(&self) -> $crate::functions::OnLoss {
                match self { $(Self::$name(law) => law.on_loss(),)* }
            }

            fn fail_safe(&self) -> Option<$crate::units::Watts> {
                match self { $(Self::$name(law) => law.fail_safe(),)* }
            }

            fn begin_anew(&mut self) {
                match self { $(Self::$name(law) => law.begin_anew(),)* }
            }

            fn forget(&mut self) {
                match self { $(Self::$name(law) => law.forget(),)* }
            }

            fn grounds(&self, group: $crate::ids::GroupIndex) -> Option<$crate::functions::Grounds> {
                match self { $(Self::$name(law) => law.grounds(group),)* }
            }

            fn carry(&mut self, carry: &mut $crate::carry::Carry<'_>) {
                match self { $(Self::$name(law) => law.carry(carry),)* }
            }

            fn evaluate(
                &mut self,
                view: &$crate::functions::View<'_>,
                wishes: &mut $crate::functions::Wishes,
            ) {
                match self { $(Self::$name(law) => law.evaluate(view, wishes),)* }
            }
        }

        impl $crate::functions::FunctionSet for $laws {
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            fn name(spec: &$spec) -> &'static str {
                match spec { $($spec::$name(_) => stringify!($name),)* }
            }

            fn built_name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }
        }
    };
}
