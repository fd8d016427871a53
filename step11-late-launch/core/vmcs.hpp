// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The VMCS: the page that holds it, and the time during which it is current.
#pragma once

#include <cstdint>
#include <optional>

#include "page.hpp"
#include "vmx/capabilities.hpp"
#include "vmx/failure.hpp"
#include "vmx/fields.hpp"
#include "vmx/instructions.hpp"
#include "vmx/snapshot.hpp"

namespace vtx {

/// The page of a VMCS. Software writes the revision identifier once, before the processor sees
/// the page. After that, only VMREAD and VMWRITE can reach the contents: the processor may keep
/// them inside itself, and in a layout of its own.
/// \sdm{format-of-the-vmcs-region}
class VmcsRegion {
public:
    /// False if there is no memory.
    [[nodiscard]] bool allocate(const VmxCapabilities &vmx) {
        if (!page_.allocate())
            return false;
        set_revision(vmx.revision());
        return true;
    }

    /// Writes the identifier. Only while no processor holds the VMCS.
    void set_revision(std::uint32_t revision) {
        __builtin_memcpy(page_.bytes(), &revision, sizeof revision);
    }

    // [exercise 03-3]
    PhysicalAddress physical() const { return page_.physical(); }
    // [exercise 03-3]

    /// VMCLEAR failed: the processor may still hold the VMCS, so the page is never given back.
    void keep() const { page_.keep(); }

private:
    Page page_;
};

/// A VMCS that is current on this logical processor: VMREAD, VMWRITE and VM entries use it.
///
/// Made inside VMX operation and destroyed before it ends. VMCLEAR comes first, because the launch
/// state of a fresh page is undefined. It also comes last: it makes the processor write back what
/// it holds, and only then may the page be freed or used on another processor.
///
/// The first failed access is remembered. No guest is entered after it, because part of its state
/// may be missing.
/// \sdm{initializing-a-vmcs} \sdm{software-use-of-virtual-machine-control-structures}
class CurrentVmcs {
public:
    /// VMCLEAR, then VMPTRLD. If one fails, `failure` says which, and every access fails too.
    CurrentVmcs(const VmcsRegion &region, Failure &failure) : region_(region), failure_(failure) {
        if (note(vmclear(physical())))
            note(vmptrld(physical()));
    }

    ~CurrentVmcs() {
        if (!note(vmclear(physical())))
            region_.keep();
    }

    CurrentVmcs(const CurrentVmcs &) = delete;
    CurrentVmcs &operator=(const CurrentVmcs &) = delete;

    /// Where its page is.
    PhysicalAddress physical() const { return region_.physical(); }

    /// The field's value, in the field's width; 0 if VMREAD failed, which failure() remembers.
    template <VmcsField F> field_value_t<F> read(F field) {
        std::uint64_t value = 0;
        note(vmread(field_encoding(field), value), field_encoding(field));
        return static_cast<field_value_t<F>>(value);
    }

    /// Writes a field. A value that is wider than the field does not compile. failure() remembers
    /// if VMWRITE failed.
    template <VmcsField F, FitsField<F> Value> void write(F field, Value value) {
        note(vmwrite(field_encoding(field), value), field_encoding(field));
    }

    /// Writes a field and reads it back: for the set-up, where a mistake should show at once.
    template <VmcsField F, FitsField<F> Value> void write_checked(F field, Value value) {
        write(field, value);
        const field_value_t<F> held = read(field);
        if (held != value)
            fail(
                {.kind = Failure::Kind::readback,
                 .field = field_encoding(field),
                 .value = value,
                 .second_value = held});
        fields_checked_++;
    }

    /// Reads every field that this processor has.
    void read_all(VmcsSnapshot &snapshot) const {
        snapshot.fill([](std::uint32_t encoding) -> std::optional<std::uint64_t> {
            std::uint64_t value = 0;
            if (!vmread(encoding, value).ok())
                return std::nullopt;
            return value;
        });
    }

    /// Remembers a failure that the caller met, unless there was one before.
    void fail(const Failure &failure) { failure_.note(failure); }

    /// The first thing that went wrong in this scope; empty if nothing did.
    const Failure &failure() const { return failure_; }

    /// How many times write_checked() was called.
    unsigned fields_checked() const { return fields_checked_; }

private:
    /// Remembers a failed instruction. Returns whether it succeeded.
    bool note(Result result, std::uint32_t field = 0) {
        if (!result.ok()) [[unlikely]]
            fail_instruction(result, field);
        return result.ok();
    }

    /// Cold: the compiler keeps it apart from the accesses, nearly all of which succeed.
    [[gnu::cold]] void fail_instruction(Result result, std::uint32_t field) {
        fail(Failure::instruction(result, field));
    }

    const VmcsRegion &region_;
    Failure &failure_;
    unsigned fields_checked_ = 0;
};

} // namespace vtx
