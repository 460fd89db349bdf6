//! Devices of a real site that are simulated: the plant of a scenario stands for them, served on loopback by a thread
//! of its own.
//!
//! ```text
//!     SiteDriver ──real address──> device
//!                ──127.0.0.1────> r-emsctl device's code ──> plant of the scenario
//! ```
//!
//! The site file is the one that will run when all devices are there, and stays as it is: what is simulated is said beside it.
//! Controllers meet an address of this computer in place of the device's and know no difference; people are told everywhere.
//!
//! **Decision: whoever is simulated is simulated once.** Hosts that share a grid would each have a plant of their own, and a
//! battery whose charge changes with the active: that is refused. `r-emsctl device` serves one plant for all of them.
//!
//! **Bounds:** the plant's time is the scenario's. When that is over nobody answers for the devices any more.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::ConnectionIndex;
use r_ems_engine::points::{DeviceClass, DeviceSpec};
use r_ems_engine::{Span, Time};
use r_ems_scenarios::{Overrides, RealMember, RealSite, RealWay};
use r_ems_sim::driver::SimDriver;
use r_ems_site::BootClock;

use super::args::Arguments;
use super::logging::Said;
use super::production::this_host;
use crate::devices::{self, Entrance, Station};
use crate::exit::{Exit, Failure};
use crate::far_end::FarEnd;
use crate::present::text::duration;
use crate::study::Study;
use crate::study::load::{Loaded, load, report_text};

/// Listens where devices are looked for.
#[expect(
    clippy::disallowed_types,
    reason = "a simulated device is a device to the loop, behind a socket as all of them"
)]
type Listener = std::net::TcpListener;

/// A plant that stands for some devices of a site, ready to be served.
pub(super) struct Plant {
    /// The scenario that it is of.
    path: PathBuf,
    driver: SimDriver,
    stations: Vec<(Station, Door)>,
}

/// Where the controllers come in.
enum Door {
    Tcp(Listener),
    Line(FarEnd),
}

impl Door {
    /// Opens one for a station, and says where it is.
    fn open(station: &Station) -> std::io::Result<(Self, RealWay)> {
        match station.framing {
            Framing::Tcp => {
                let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0))?;
                listener.set_nonblocking(true)?;
                let at = listener.local_addr()?;
                Ok((Self::Tcp(listener), RealWay::Tcp(at)))
            }
            Framing::Rtu(line) => {
                let far_end = FarEnd::make()?;
                let path = far_end.path().display().to_string();
                Ok((Self::Line(far_end), RealWay::Serial(path, line)))
            }
        }
    }

    /// Where it is, for people.
    fn at(&self) -> std::io::Result<String> {
        match self {
            Self::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            Self::Line(far_end) => Ok(far_end.path().display().to_string()),
        }
    }

    /// The same within a runtime.
    fn entrance(self) -> std::io::Result<Entrance> {
        match self {
            Self::Tcp(listener) => tokio::net::TcpListener::from_std(listener).map(Entrance::Tcp),
            Self::Line(far_end) => Ok(Entrance::Line(far_end)),
        }
    }
}

/// A device as a user names it: "commerce/bess".
type Named<'a> = (&'a str, &'a str);

/// Loads the plant of the scenario that stands for the devices that `arguments` name, listens for them, and lets the site's
/// controllers find them there.
///
/// # Errors
/// A device that the site does not have or that cannot be simulated alone, or whatever is wrong with the scenario.
pub(super) fn stand_in<F: FunctionSet>(
    site: &mut RealSite<F>,
    arguments: &Arguments,
    said: &Said,
) -> Result<Plant, Failure> {
    let host = this_host(site, arguments.host.as_deref())?;
    let mut wanted: Vec<(String, ConnectionIndex)> = Vec::new();
    for name in &arguments.simulate {
        let place = find(site, host, name, &arguments.simulate)?;
        if !wanted.contains(&place) {
            wanted.push(place);
        }
    }
    keep_from_running_away(site, &arguments.simulate)?;
    let path = arguments.plant.clone().unwrap_or_default();
    let study = plant_of(site, &path, arguments, said)?;
    let failed = |error: std::io::Error| Failure::error(format!("the devices cannot be served: {error}"));
    let mut stations = Vec::with_capacity(wanted.len());
    for station in devices::stations(&study) {
        if wanted.iter().any(|(grid, connection)| *grid == station.grid && *connection == station.connection)
        {
            let (door, way) = Door::open(&station).map_err(failed)?;
            lead_to(site, &station, &way);
            stations.push((station, door));
        }
    }
    let driver = SimDriver::new(study.world)
        .map_err(|error| Failure::error(format!("the world cannot be built: {error:?}")))?;
    Ok(Plant { path, driver, stations })
}

/// The grid of a device, and the connection that leads to it.
fn find<F: FunctionSet>(
    site: &RealSite<F>,
    host: u16,
    name: &str,
    all: &[String],
) -> Result<(String, ConnectionIndex), Failure> {
    let wrong = |why: String| Err(Failure::usage(format!("--simulate {name}: {why}")));
    let controls = |member: &&RealMember<F>| !member.spec.devices.is_empty();
    let controllers = || site.members.iter().filter(controls);
    let mut known: Vec<String> = Vec::new();
    for member in controllers() {
        let names = member.spec.devices.iter().map(|device| format!("{}/{}", member.spec.grid, device.name));
        known.extend(names.filter(|device| !known.contains(device)).collect::<Vec<_>>());
    }
    let (path, split) =
        (site.document.path(), name.split_once('/').filter(|_split| known.iter().any(|known| known == name)));
    let Some((grid, device)): Option<Named<'_>> = split else {
        return wrong(format!("{path} has no such device; it has {}", known.join(", ")));
    };
    let of_grid = || controllers().filter(|member| member.spec.grid == grid);
    let elsewhere = of_grid().find(|member| member.host() != host);
    if let Some(elsewhere) = elsewhere {
        let other = &site.hosts[usize::from(elsewhere.host())].name;
        return wrong(format!(
            "{grid}/{} stands on host {other}, and would have a plant of its own there; serve one for all hosts with r-emsctl \
             device, at the addresses of the site file, and use --mode production",
            elsewhere.spec.id
        ));
    }
    let spec = &of_grid().next().expect("it has a device").spec;
    let place = spec.devices.iter().position(|known| known.name == device);
    let maps = || spec.bus.devices.iter();
    let map =
        maps().find(|map| Some(map.device().position()) == place).expect("a real device is behind Modbus");
    let behind = maps().filter(|other| other.connection() == map.connection());
    let names = behind.map(|map| format!("{grid}/{}", spec.devices[map.device().position()].name));
    if let Some(left_out) = names.into_iter().find(|other| !all.contains(other)) {
        return wrong(format!(
            "{left_out} is behind the same address, and is simulated with it or not at all"
        ));
    }
    Ok((grid.to_owned(), map.connection()))
}

/// Refuses a simulated meter beside a real battery or plant: it feels nothing of what they do, so whoever follows it drives
/// them to their limits.
fn keep_from_running_away<F: FunctionSet>(site: &RealSite<F>, simulated: &[String]) -> Result<(), Failure> {
    for member in &site.members {
        let full = |device: &DeviceSpec| format!("{}/{}", member.spec.grid, device.name);
        let devices = || member.spec.devices.iter();
        let of_class = |is_meter: bool| {
            devices().filter(move |device| {
                device.class != DeviceClass::Signal && (device.class == DeviceClass::Meter) == is_meter
            })
        };
        // A receiver feels nothing of what devices do.
        let meter = of_class(true).map(full).find(|name| simulated.contains(name));
        let real = of_class(false).map(full).find(|name| !simulated.contains(name));
        if let (Some(meter), Some(real)) = (meter, real) {
            return Err(Failure::usage(format!(
                "--simulate {meter}: {real} is real, and the simulated meter feels nothing of what it does: it would be \
                 driven to its limits; simulate {real} too"
            )));
        }
    }
    Ok(())
}

/// The scenario whose plant it is, with the site that is run in place of its own.
fn plant_of<F: FunctionSet>(
    site: &RealSite<F>,
    path: &Path,
    arguments: &Arguments,
    said: &Said,
) -> Result<Study<F>, Failure> {
    let own = std::path::absolute(site.document.path())
        .map_err(|error| Failure::error(format!("{}: {error}", site.document.path())))?;
    let mut settings = arguments.set.clone();
    settings.extend(["fidelity=Wire".to_owned(), format!("site={:?}", own.to_string_lossy())]);
    let Loaded { study, warnings } = load::<F>(path, &Overrides { settings, ..Overrides::default() })?;
    if !warnings.mistakes.is_empty() {
        said.warn(&report_text(&warnings));
    }
    if study.site.text() != site.document.text() {
        let message = format!(
            "{}: the scenario changes the site, so its plant is not of {}; leave out what it sets below `site`",
            path.display(),
            site.document.path()
        );
        return Err(Failure { exit: Exit::BadScenario, message });
    }
    Ok(study)
}

/// Lets all controllers of a grid look for a station there.
fn lead_to<F: FunctionSet>(site: &mut RealSite<F>, station: &Station, at: &RealWay) {
    let of_grid = site.members.iter_mut().filter(|member| member.spec.grid == station.grid);
    for way in of_grid.filter_map(|member| member.ways.get_mut(station.connection.position())) {
        way.clone_from(at);
    }
}

impl Plant {
    /// The devices that it stands for, each "commerce/bess".
    pub(super) fn devices(&self) -> Vec<String> {
        let of_station = |station: &Station| {
            let grid = station.grid.clone();
            station.devices.clone().into_iter().map(move |device| format!("{grid}/{device}"))
        };
        self.stations.iter().flat_map(|(station, _)| of_station(station)).collect()
    }

    /// Begins to serve, on a thread of its own that ends with the process.
    ///
    /// # Errors
    /// There is no clock or no thread for it.
    #[expect(
        clippy::disallowed_methods,
        reason = "it is a device to the loop, behind a socket as all of them"
    )]
    pub(super) fn start(self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::error(format!("the plant cannot begin: {error}"));
        let lasts = duration(self.driver.end().since(Time::ZERO));
        let path = self.path.display().to_string();
        for (station, door) in &self.stations {
            let at = door.at().map_err(failed)?;
            for device in &station.devices {
                tracing::warn!(
                    "{}/{device} is SIMULATED for {lasts}, at {at}, by the plant of {path}: {} is not asked",
                    station.grid,
                    station.address
                );
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let face = BootClock::begin_in(Span::ZERO).map_err(failed)?.face();
        let Self { driver, stations, .. } = self;
        let serves = move || {
            let served = runtime.block_on(async move {
                let listening = stations.into_iter().map(|(station, door)| Ok((station, door.entrance()?)));
                let listening = listening.collect::<std::io::Result<_>>()?;
                devices::serve(driver, face, listening, |line| tracing::info!("{line}")).await;
                Ok::<(), std::io::Error>(())
            });
            match served {
                Ok(()) => tracing::error!(
                    "{path}: the scenario is over after {lasts}: the devices that were simulated do not answer any more"
                ),
                Err(error) => tracing::error!("{path}: the simulated devices cannot be served: {error}"),
            }
        };
        std::thread::Builder::new().name("plant".to_owned()).spawn(serves).map(drop).map_err(failed)
    }
}
