//! `r-emsctl device`: the plant of a scenario as Modbus devices, over TCP or on serial lines, for anybody's client.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use r_ems_engine::Span;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::functions::FunctionSet;
use r_ems_scenarios::Overrides;
use r_ems_sim::driver::SimDriver;
use r_ems_site::BootClock;
use tokio::net::{TcpListener, lookup_host};

use super::values::setting;
use crate::devices::{Entrance, Station, serve, stations};
use crate::exit::{Exit, Failure};
use crate::far_end::FarEnd;
use crate::output::{Output, say};
use crate::present::table::{Align, Table};
use crate::study::Study;
use crate::study::load::load;

pub(super) const EXAMPLES: &str = "\
Examples:
  r-emsctl device scenarios/peak_shaving.ron
  r-emsctl device scenarios/flaky_wire.ron --ports 15020 --set start=\"2016-03-09 17:19\"
  r-emsctl device scenarios/peak_shaving_serial.ron

The scenario's plant, timeline and faults pass in real time; its controllers do not run: whoever connects is the controller.
Ends with the scenario, or with Ctrl-C.";

/// What is served, and where.
#[derive(Args, Debug)]
pub struct DeviceArguments {
    /// The scenario file; its site's devices have links of kind Modbus
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Listens on 127.0.0.1, for the first address of the site at this port, for each further one at the next; at free ports
    /// if it is 0; without it at the addresses themselves, which must be this machine's. A serial line is a pseudo-terminal
    /// in any case, whose path is shown
    #[arg(long, value_name = "PORT")]
    pub ports: Option<u16>,
    /// Changes a value of the scenario: plant.commerce.bess.soc="20 %"
    #[arg(long, value_name = "PATH=VALUE", value_parser = setting)]
    pub set: Vec<String>,
}

/// What listens, and how a person finds it.
struct Listening {
    stations: Vec<(Station, Entrance)>,
    table: Table,
}

/// Serves until the scenario is over.
pub(super) fn perform<F: FunctionSet>(
    arguments: &DeviceArguments,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut settings = arguments.set.clone();
    settings.push("fidelity=Wire".to_owned());
    let study = load::<F>(&arguments.file, &Overrides { settings, ..Overrides::default() })?.study;
    let refused = |error: std::io::Error| Failure::error(format!("the devices cannot be served: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let Listening { stations, table } = runtime.block_on(listen(&study, arguments.ports))?;
    if stations.is_empty() {
        return Err(Failure::usage(format!(
            "{}: no device of the site has a link of kind Modbus, so there is nothing to serve; see `Registers` in \
             scenarios/README.md, or serve scenarios/peak_shaving.ron",
            arguments.file.display()
        )));
    }
    let driver = SimDriver::new(study.world)
        .map_err(|error| Failure::error(format!("the world cannot be built: {error:?}")))?;
    let clock = BootClock::begin_in(Span::ZERO).map_err(refused)?;
    output.text(&table.headed())?;
    output.text("in real time from now on; Ctrl-C ends it\n")?;
    runtime.block_on(serve(driver, clock.face(), stations, say));
    output.text("the scenario is over\n")?;
    Ok(Exit::Ok)
}

/// Listens for the devices of all grids.
async fn listen<F: FunctionSet>(study: &Study<F>, ports: Option<u16>) -> Result<Listening, Failure> {
    let mut table = Table::new(0, &[Align::Left, Align::Left, Align::Right, Align::Left]);
    table.row(["device", "listens at", "unit", "in the site file"]);
    let mut listening: Vec<(Station, Entrance)> = Vec::new();
    for station in stations(study) {
        let (at, entrance) = match station.framing {
            Framing::Tcp => {
                let (at, listener) = bind(&station.address, ports, listening.len()).await?;
                (at.to_string(), Entrance::Tcp(listener))
            }
            Framing::Rtu(_) => {
                let far_end = FarEnd::make().map_err(|error| {
                    Failure::error(format!("{}: no line can be made for it: {error}", station.address))
                })?;
                (far_end.path().display().to_string(), Entrance::Line(far_end))
            }
        };
        for ((unit, ..), device) in station.units.iter().zip(&station.devices) {
            let device = format!("{}/{device}", station.grid);
            table.row([device, at.clone(), unit.to_string(), station.address.clone()]);
        }
        listening.push((station, entrance));
    }
    Ok(Listening { stations: listening, table })
}

/// Listens for the `place`-th address of a site.
async fn bind(address: &str, ports: Option<u16>, place: usize) -> Result<(SocketAddr, TcpListener), Failure> {
    let unknown = || {
        Failure::error(format!("{address}: it is no address that is known here; --ports 15020 needs none"))
    };
    let at = match ports {
        Some(0) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        Some(first) => {
            let port = u16::try_from(usize::from(first) + place).map_err(|_error| {
                Failure::usage(format!("--ports {first}: address {} of the site has no port left", place + 1))
            })?;
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        }
        None => lookup_host(address).await.ok().and_then(|mut found| found.next()).ok_or_else(unknown)?,
    };
    let refused = |error: std::io::Error| {
        let remedy = "--ports 15020 listens on 127.0.0.1, at ports of its own from 15020 on";
        Failure::error(format!("{at}: cannot listen there: {error}; {remedy}"))
    };
    let listener = TcpListener::bind(at).await.map_err(refused)?;
    Ok((listener.local_addr().map_err(refused)?, listener))
}
