//! What devices at the wire make of the requests that reach them.

use alloc::vec::Vec;

use r_ems_engine::fieldbus::pdu::{
    Answer, Bits, MAX_BITS_READ, Registers, Request, Table, put_answer, put_exception,
};
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::refusal::Exception;
use r_ems_engine::ids::{ControllerIndex, DeviceIndex};
use r_ems_engine::machine::{Sample, SetPointWrite, WriteKind};
use r_ems_engine::redundancy::Epoch;
use r_ems_engine::units::{Vars, Watts};
use r_ems_engine::{Span, Time};

use super::devices::Declined;
use super::pending::Of;
use super::{PostState, SimDriver};
use crate::wire::{self, Change, Shown};

impl SimDriver {
    /// Adds to `answer` what a device says to a request, as the links of this controller lead to it; returns how long the answer
    /// takes, or `None` if there is none.
    pub fn serve(
        &mut self,
        (controller, device): (ControllerIndex, DeviceIndex),
        pdu: &[u8],
        answer: &mut Vec<u8>,
    ) -> Option<Span> {
        let (at, post) = (self.now, controller.0);
        let link = self.link(post, device);
        if !link.hears() || link.is_cut_off() {
            return None;
        }
        let takes = link.answered_at(at).since(at);
        let of = Of { post, life: self.posts[usize::from(post)].life };
        let (bytes, _values) = self.respond(at, (of, device), pdu, None);
        answer.extend_from_slice(&bytes);
        Some(takes)
    }

    /// What a device answers to a request that has reached it, and the values that the answer brings.
    ///
    /// `decided` is the write that it carries, where a controller sent it.
    pub(super) fn respond(
        &mut self,
        at: Time,
        (of, device): (Of, DeviceIndex),
        pdu: &[u8],
        decided: Option<&SetPointWrite>,
    ) -> (Vec<u8>, Vec<Sample>) {
        let mut answer = Vec::new();
        let samples = match Request::decode(pdu) {
            Ok(request @ Request::Read { table, address, count }) => {
                let asked = Piece { table, address, count };
                self.answer_with(at, (of, device), (&request, asked), &mut answer)
            }
            Ok(request @ Request::Exchange { read: address, count, .. }) => {
                let asked = Piece { table: Table::HoldingRegisters, address, count };
                let could_be_read = self.could_be_read((of.post, device), asked);
                let is_done =
                    could_be_read.and_then(|()| self.write_device(at, (of, device), &request, decided));
                match is_done {
                    Ok(()) => self.answer_with(at, (of, device), (&request, asked), &mut answer),
                    Err(exception) => {
                        put_exception(&mut answer, request.function(), exception);
                        Vec::new()
                    }
                }
            }
            Ok(
                request @ (Request::WriteRegister { .. }
                | Request::WriteRegisters { .. }
                | Request::WriteCoil { .. }
                | Request::WriteCoils { .. }
                | Request::MaskRegister { .. }),
            ) => {
                match self.write_device(at, (of, device), &request, decided) {
                    Ok(()) => put_answer(&mut answer, &request, &Answer::Written),
                    Err(exception) => put_exception(&mut answer, request.function(), exception),
                }
                Vec::new()
            }
            Ok(request) => {
                put_exception(&mut answer, request.function(), Exception::ILLEGAL_FUNCTION);
                Vec::new()
            }
            Err(exception) => {
                put_exception(&mut answer, pdu.first().copied().unwrap_or_default(), exception);
                Vec::new()
            }
        };
        (answer, samples)
    }

    /// Adds the registers or bits that a request asks for to its answer, or why not; returns the values that are among them.
    fn answer_with(
        &mut self,
        at: Time,
        (of, device): (Of, DeviceIndex),
        (request, asked): (&Request<'_>, Piece),
        answer: &mut Vec<u8>,
    ) -> Vec<Sample> {
        let is_passed_on = matches!(request, Request::Exchange { .. });
        match self.read_device(at, (of.post, device), (asked, is_passed_on)) {
            Ok(shown) => {
                let registers = Registers::new(&shown.bytes).expect("registers are whole");
                let mut packed = [0; MAX_BITS_READ.div_ceil(8) as usize];
                let told = if asked.table.is_of_bits() {
                    Answer::Bits(Bits::packed(registers, &mut packed))
                } else {
                    Answer::Registers(registers)
                };
                put_answer(answer, request, &told);
                shown.samples
            }
            Err(exception) => {
                put_exception(answer, request.function(), exception);
                Vec::new()
            }
        }
    }

    fn read_device(
        &mut self,
        at: Time,
        (post, device): (u16, DeviceIndex),
        (asked, is_passed_on): (Piece, bool),
    ) -> Result<Shown, Exception> {
        let grid = usize::from(self.posts[usize::from(post)].grid);
        self.advance(grid, at);
        let PostState { links, wires, .. } = &mut self.posts[usize::from(post)];
        let link = &mut links[device.position()];
        let map = wires.map_of(device).ok_or(Exception::ILLEGAL_ADDRESS)?;
        let (state, component) = (&self.grids[grid], link.component());
        let page = &state.pages[usize::from(component.0)];
        let values = link.values(&state.bus, page.waiting(map), is_passed_on);
        let mut shown = wire::read(map, values, (page, state.bus.is_commanded(component)), asked)?;
        if link.is_short() {
            shown.bytes.truncate(2 * half(asked));
            shown.samples.clear();
        }
        link.count_answer();
        Ok(shown)
    }

    /// Whether a device could be asked for these registers.
    fn could_be_read(&self, (post, device): (u16, DeviceIndex), asked: Piece) -> Result<(), Exception> {
        let PostState { grid, links, wires, .. } = &self.posts[usize::from(post)];
        let map = wires.map_of(device).ok_or(Exception::ILLEGAL_ADDRESS)?;
        let component = links[device.position()].component();
        wire::has(map, &self.grids[usize::from(*grid)].pages[usize::from(component.0)], asked)
    }

    /// A device is written to: it does what stands on its page then, or nothing.
    fn write_device(
        &mut self,
        at: Time,
        (of, device): (Of, DeviceIndex),
        request: &Request<'_>,
        decided: Option<&SetPointWrite>,
    ) -> Result<(), Exception> {
        let post = of.post;
        let known = decided.map_or(Epoch::NONE, |write| Epoch::of_number(write.epoch));
        let is_set_point = decided.is_some_and(|write| write.kind == WriteKind::SetPoint);
        let way = if is_set_point { self.arrives(at, (post, device), known) } else { None };
        let PostState { grid, links, wires, .. } = &self.posts[usize::from(post)];
        let (grid, link) = (*grid, &links[device.position()]);
        let (component, factor, checks_epochs) = (link.component(), link.factor(), link.checks_epochs());
        let map = wires.map_of(device).ok_or(Exception::ILLEGAL_ADDRESS)?;
        let change = Change::of(request).ok_or(Exception::ILLEGAL_FUNCTION)?;
        let page = &self.grids[usize::from(grid)].pages[usize::from(component.0)];
        let (page, order) = page.changed(map, &change)?;
        // Where a device knows of epochs, what it is written without one has none.
        let epoch = order.epoch.map(Epoch::of_number).or((!checks_epochs).then_some(known));
        match self.declines((post, device), epoch) {
            None => {}
            Some(Declined::Ignored) => return Ok(()),
            Some(Declined::Outdated(_)) => return Err(Exception::ILLEGAL_VALUE),
            Some(Declined::Refused) => return Err(Exception::DEVICE_FAILURE),
        }
        if let Some(epoch) = epoch.filter(|_| order.is_set_points) {
            self.accept(at, (post, device), (epoch, way));
        }
        self.grids[usize::from(grid)].pages[usize::from(component.0)] = page;
        if order.beats {
            self.grids[usize::from(grid)].hear(component, at, self.monitor.watch(grid));
        }
        if let Some((power, reactive)) = order.takes {
            let powers = (Watts::of(power * factor), Vars::of(reactive * factor));
            self.follow(at, (post, device), powers);
        }
        let state = &mut self.grids[usize::from(grid)];
        if !order.stands && state.bus.is_commanded(component) {
            state.release(component, at, self.monitor.watch(grid));
        }
        Ok(())
    }
}

/// So many entries are left of an answer that is too short by about half: of bits whole bytes.
const fn half(asked: Piece) -> usize {
    let count = asked.count as usize;
    if asked.table.is_of_bits() { count.div_ceil(8) / 2 * 8 } else { count / 2 }
}
