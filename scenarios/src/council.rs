//! Who shares the authority over a grid: its controllers in failover order, its witness, and the rules between them.
//!
//! Seats follow the failover order, the witness has the last one. A grid with one controller has a council of one, which has no
//! rules and needs none.

use r_ems_engine::Span;
use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::redundancy::epoch::MAX_SEATS;
use r_ems_engine::redundancy::{self, Seat, Settings, SupervisorSpec};

use crate::device::Device;
use crate::leaf::check_name;
use crate::mistake::{Notes, suggestion};
use crate::node::{Entry, Fields, Node, excerpt};
use crate::redundancy as rules;

/// The members of a grid's council, and its rules.
#[derive(Debug)]
pub(crate) struct Council<'t> {
    /// In failover order; empty only where the file is wrong.
    pub(crate) controllers: Vec<Controller<'t>>,
    pub(crate) witness: Option<Witness>,
    pub(crate) settings: Settings,
    /// Where it is said how long a lease lasts; the controllers where nothing says it.
    lease: Node<'t>,
    /// Identifies all of that.
    section: u64,
}

/// A controller of a grid.
#[derive(Debug)]
pub(crate) struct Controller<'t> {
    pub(crate) id: String,
    pub(crate) key: Node<'t>,
    /// The position of its host.
    pub(crate) host: usize,
    order: Option<u64>,
}

/// A witness of a grid; it is called like its host.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) id: String,
    pub(crate) host: usize,
}

/// One seat of a council.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) id: &'a str,
    pub(crate) host: usize,
    pub(crate) seat: Seat,
    pub(crate) is_witness: bool,
}

impl Council<'_> {
    /// Notes what identifies all that the members of a council must agree on.
    pub(crate) fn identify(&mut self, grid: &str, hosts: &[Entry<'_>], devices: &[Device<'_>]) {
        self.section = rules::section(grid, self, hosts, devices);
    }

    /// Whether more than one controller shares the authority.
    pub(crate) fn is_shared(&self) -> bool {
        self.controllers.len() > 1
    }

    /// Its members in the order of their seats.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member<'_>> {
        let controllers =
            self.controllers.iter().map(|controller| (controller.id.as_str(), controller.host, false));
        let witness = self.witness.iter().map(|witness| (witness.id.as_str(), witness.host, true));
        let seat = |place: usize| Seat(u8::try_from(place).unwrap_or(u8::MAX));
        let member =
            move |(place, (id, host, is_witness))| Member { id, host, seat: seat(place), is_witness };
        controllers.chain(witness).enumerate().map(member)
    }

    /// The council as one of its members sees it.
    pub(crate) fn seen_from(&self, seat: Seat) -> redundancy::Council {
        let hosts: Vec<u16> = self.members().map(|member| position(member.host)).collect();
        redundancy::Council::new(&hosts, self.witness.is_some(), seat)
    }

    /// Notes leases that end before they can be renewed where a message may be on its way for `delay`.
    pub(crate) fn check_lease(&self, delay: Span, notes: &mut Notes) {
        let Settings { heartbeat, lease, .. } = self.settings;
        if self.is_shared() && self.settings.stall_max(delay).is_zero() {
            self.lease.warning(
                notes,
                format!(
                    "a lease lasts {lease}, but it is renewed every {heartbeat} and the answer may take {}: authority would \
                     end and begin again; allowed is above {}",
                    delay * 2,
                    heartbeat + delay * 2
                ),
            );
        }
    }

    fn supervisor(&self, seat: Seat) -> SupervisorSpec {
        if !self.is_shared() {
            return SupervisorSpec::alone();
        }
        let (settings, section) = (self.settings.clone(), self.section);
        SupervisorSpec { council: self.seen_from(seat), settings, section }
    }

    /// The specification of each member, made from what all controllers of the grid have in common.
    pub(crate) fn fleet<F: FunctionSet>(&self, common: &ControllerSpec<F>) -> Vec<ControllerSpec<F>> {
        let made = |member: Member<'_>| {
            let redundancy = self.supervisor(member.seat);
            if member.is_witness {
                return ControllerSpec::witness(&common.grid, member.id, redundancy);
            }
            ControllerSpec { id: member.id.to_string(), redundancy, ..common.clone() }
        };
        self.members().map(made).collect()
    }
}

fn position(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}

/// Reads `controllers`, `witness` and `redundancy` of a grid that scans every `scan`.
pub(crate) fn read<'t>(
    scan: Span,
    fields: &mut Fields<'t>,
    hosts: &[Entry<'t>],
    notes: &mut Notes,
) -> Council<'t> {
    let entries = fields.required("controllers", notes).and_then(|node| node.map(notes)).unwrap_or_default();
    let place = fields.place("controllers").clone();
    if entries.is_empty() && place.field().ends_with("controllers") {
        place.error(notes, "expected at least one controller, got none");
    }
    let mut controllers: Vec<Controller<'t>> =
        entries.iter().take(MAX_SEATS).filter_map(|entry| read_controller(entry, hosts, notes)).collect();
    // A controller that could not be read would be missed in the order.
    if controllers.len() == entries.len() && entries.len() > 1 {
        check_order(&entries, &controllers, notes);
    }
    controllers.sort_by_key(|controller| controller.order);
    let node = fields.optional("witness");
    let witness = node.as_ref().and_then(|node| read_witness(node, &controllers, hosts, notes));
    let seats = entries.len() + usize::from(node.is_some());
    if seats > MAX_SEATS {
        place.error(
            notes,
            format!("expected at most {MAX_SEATS} controllers and witness together, got {seats}"),
        );
    }
    let redundancy = fields.optional("redundancy");
    let settings = rules::default(scan);
    let mut council = Council { controllers, witness, settings, lease: place.clone(), section: 0 };
    let stated = redundancy.as_ref().and_then(|node| rules::read(node, scan, notes));
    if council.is_shared() {
        let is_pair = council.seen_from(Seat(0)).is_pair();
        rules::check_silence(stated.as_ref(), redundancy.as_ref().unwrap_or(&place), is_pair, notes);
        check_hosts(&council, &place, notes);
    } else if let Some(node) = redundancy
        && entries.len() == 1
    {
        node.warning(notes, "is not used: the grid has one controller");
    }
    if let Some(stated) = stated {
        (council.settings, council.lease) = (stated.settings, stated.lease);
    }
    council
}

/// All controllers on one host share its fate, and then one vote.
fn check_hosts(council: &Council<'_>, place: &Node<'_>, notes: &mut Notes) {
    let first = council.controllers[0].host;
    if council.controllers.iter().all(|controller| controller.host == first) {
        place.warning(notes, "all controllers stand on one host: if it fails, none is left to take over");
    }
}

fn read_controller<'t>(entry: &Entry<'t>, hosts: &[Entry<'t>], notes: &mut Notes) -> Option<Controller<'t>> {
    check_name(&entry.key, &entry.name, notes);
    let mut fields = entry.value.fields(notes)?;
    let host = fields.required("host", notes);
    let order: Option<u64> = fields.leaf_if_given("order", notes);
    fields.finish(notes);
    // Without a host the controller still has a name, which others may not have.
    let controller = Controller { id: entry.name.clone(), key: entry.key.clone(), host: 0, order };
    let found = host.and_then(|host| find_host(&host, hosts, notes));
    Some(Controller { host: found.unwrap_or(0), ..controller })
}

/// Finds a host by its name.
fn find_host(node: &Node<'_>, hosts: &[Entry<'_>], notes: &mut Notes) -> Option<usize> {
    let name: String = node.leaf(notes)?;
    let found = hosts.iter().position(|known| known.name == name);
    if found.is_none() {
        let known: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        node.error(notes, format!("there is no host \"{}\"; {}", excerpt(&name), suggestion(&name, &known)));
    }
    found
}

/// The order of several controllers begins at 0 and leaves nothing out.
fn check_order(entries: &[Entry<'_>], controllers: &[Controller<'_>], notes: &mut Notes) {
    let count = controllers.len() as u64;
    let last = count - 1;
    for (place, (entry, controller)) in entries.iter().zip(controllers).enumerate() {
        let Some(order) = controller.order else {
            let fields = entry.value.try_fields().unwrap_or_default();
            // What is there and wrong was noted.
            if fields.iter().all(|field| field.0 != "order") {
                let message = format!(
                    "the field `order` is missing: with {count} controllers each has one, from 0 to {last}"
                );
                entry.value.error(notes, message);
            }
            continue;
        };
        let node = entry.value.try_fields().unwrap_or_default().into_iter().find(|field| field.0 == "order");
        let node = node.map_or_else(|| entry.value.clone(), |(name, raw)| entry.value.child(raw, name));
        let other = controllers[..place].iter().find(|other| other.order == Some(order));
        if order >= count {
            node.error(notes, format!("must be from 0 to {last}, one for each controller, got {order}"));
        } else if let Some(other) = other {
            node.error(
                notes,
                format!("{order} is the order of \"{}\" already; each is given once", other.id),
            );
        }
    }
}

fn read_witness(
    node: &Node<'_>,
    controllers: &[Controller<'_>],
    hosts: &[Entry<'_>],
    notes: &mut Notes,
) -> Option<Witness> {
    let host = find_host(node, hosts, notes)?;
    let id = hosts[host].name.clone();
    if controllers.len() == 1 {
        node.error(notes, "a witness helps two controllers or more, but the grid has one");
        return None;
    }
    if let Some(controller) = controllers.iter().find(|controller| controller.host == host) {
        let message = format!(
            "the controller \"{}\" stands on the host \"{id}\"; a witness needs a host of its own, so that \
             both do not fail together",
            controller.id
        );
        node.error(notes, message);
        return None;
    }
    if controllers.iter().any(|controller| controller.id == id) {
        let message = format!(
            "there is a controller \"{id}\" already, and a witness is called like its host; rename one"
        );
        node.error(notes, message);
        return None;
    }
    Some(Witness { id, host })
}

/// Notes names that a device has already, and devices of a shared grid whose links do not say what becomes of late writes.
pub(crate) fn check_devices(
    council: &Council<'_>,
    witness: &Node<'_>,
    devices: &[Device<'_>],
    notes: &mut Notes,
) {
    let is_device = |id: &str| devices.iter().any(|device| device.spec.name == id);
    let taken =
        |id: &str| format!("there is a device \"{id}\" already; names of devices and controllers differ");
    for controller in council.controllers.iter().filter(|controller| is_device(&controller.id)) {
        controller.key.error(notes, taken(&controller.id));
    }
    if let Some(found) = council.witness.as_ref().filter(|found| is_device(&found.id)) {
        witness.error(notes, taken(&found.id));
    }
    if !council.is_shared() {
        return;
    }
    for device in devices.iter().filter(|device| device.spec.class.is_controlled()) {
        device.check_late_writes(notes);
    }
    devices.iter().for_each(|device| device.check_one_master(notes));
}
