// SPDX-License-Identifier: GPL-2.0-only
// vmcs-doctor: which rules of VM entry does this VMCS break?
#include "doctor.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <unistd.h>

namespace {

constexpr int sound = 0;
constexpr int findings = 1;
constexpr int unusable = 2;
constexpr int incomplete = 3;

constexpr const char *usage =
    R"(usage: vmcs-doctor [OPTION]... [FILE]

Says which rules of VM entry a VMCS breaks, where the processor says only "error 7" or "reason 33".
It reads a dump of a VMCS from FILE, or from standard input without one (or with -).

  --format=own|kvm|auto  own: NAME = VALUE, one per line; kvm: a kernel log where Linux KVM printed
                         a VMCS (kvm_intel.dump_invalid_vmcs=1); auto, the default, finds out
  --base=10|16           read numbers without 0x as decimal or hexadecimal; the default finds out
  --cpu=FILE             check for the processor that FILE describes (--print-cpu writes one)
  --cpu=host             check for this machine's processor (as root, after modprobe msr)
  --undecided            also list the rules that could not be decided, and why
  --json                 print JSON
  --rules                list all rules
  --print-cpu            print the description of this machine's processor
  --help                 print this

Example: sudo dmesg | vmcs-doctor

Exit status:
  0  no rule is broken, as far as could be decided
  1  a rule is broken; or one may be, and the dump says that the entry failed; or something is
     suspicious: legal, but the host would die after the VM exit
  2  the input or the command line cannot be used
  3  nothing is broken in what is there, but the dump lacks lines that KVM always prints
vmcs-doctor(1) describes the formats.
)";

struct Options {
    std::string file = "-";
    std::string cpu;
    doctor::ReadOptions read;
    bool json = false;
    bool undecided = false;
    bool rules = false;
    bool print_cpu = false;
    bool help = false;
};

int complain(const std::string &message) {
    std::cerr << "vmcs-doctor: " << message << '\n';
    return unusable;
}

/// Reads the command line. \return what is wrong with it
std::string read_options(int count, char **words, Options &options) {
    bool file_given = false;
    bool only_files = false;
    for (int i = 1; i < count; ++i) {
        std::string word = words[i];
        if (only_files || word == "-" || word.empty() || word[0] != '-') {
            if (file_given) {
                return "only one FILE can be given";
            }
            options.file = word;
            file_given = true;
            continue;
        }
        std::string value;
        const std::size_t equals = word.find('=');
        if (equals != std::string::npos) {
            value = word.substr(equals + 1);
            word.resize(equals);
        } else if (word == "--cpu" || word == "--format" || word == "--base") {
            if (++i >= count) {
                return word + " needs a value";
            }
            value = words[i];
        }
        if (word == "--") {
            only_files = true;
        } else if (word == "--help" || word == "-h") {
            options.help = true;
        } else if (word == "--json") {
            options.json = true;
        } else if (word == "--undecided") {
            options.undecided = true;
        } else if (word == "--rules") {
            options.rules = true;
        } else if (word == "--print-cpu") {
            options.print_cpu = true;
        } else if (word == "--cpu") {
            options.cpu = value;
        } else if (word == "--base") {
            if (value != "10" && value != "16") {
                return "--base is 10 or 16, not \"" + value + "\"";
            }
            options.read.base = value == "10" ? 10 : 16;
        } else if (word == "--format") {
            if (value == "own") {
                options.read.format = doctor::Format::own;
            } else if (value == "kvm") {
                options.read.format = doctor::Format::kvm;
            } else if (value == "auto") {
                options.read.format = doctor::Format::automatic;
            } else {
                return "--format is own, kvm or auto, not \"" + value + "\"";
            }
        } else {
            return "there is no option " + word + "; --help lists them";
        }
    }
    return "";
}

/// Reads a file, or standard input, up to the longest useful text. \return what went wrong
std::string read_file(const std::string &name, std::string &text) {
    std::FILE *const file = name == "-" ? stdin : std::fopen(name.c_str(), "rb");
    if (file == nullptr) {
        return name + ": " + std::strerror(errno);
    }
    if (isatty(fileno(file)) != 0) {
        std::cerr << "vmcs-doctor: reading from the terminal; Ctrl-D ends the input\n";
    }
    char buffer[1 << 16];
    std::size_t size = 0;
    while (text.size() <= doctor::text_limit &&
           (size = std::fread(buffer, 1, sizeof(buffer), file)) != 0) {
        text.append(buffer, size);
    }
    const bool failed = std::ferror(file) != 0;
    const int error = errno;
    if (file != stdin) {
        std::fclose(file);
    }
    return failed ? name + ": " + std::strerror(error) : "";
}

std::string told(const std::string &file, const doctor::InputError &error) {
    const std::string name = file == "-" ? "standard input" : file;
    return name + (error.line != 0 ? ", line " + std::to_string(error.line) : "") + ": " +
           error.message;
}

void print_rules() {
    using namespace vtx::entry_checks;
    for (const Rule &rule : all_rules) {
        const SdmReference sdm = sdm_reference(rule.sdm);
        std::cout << rule.id << '\t' << failure_name(rule.failure) << '\t' << rule.must << '\t'
                  << sdm.title << '\t' << (*sdm.number != 0 ? sdm.number : "newer") << '\n';
    }
}

/// Finds the description of the processor. \return what went wrong
std::string find_processor(const Options &options, doctor::Processor &processor) {
    processor = doctor::any_processor();
    if (options.cpu.empty()) {
        return "";
    }
    if (options.cpu == "host") {
        return doctor::this_machine(processor).value_or("");
    }
    std::string text;
    const std::string wrong = read_file(options.cpu, text);
    if (!wrong.empty()) {
        return wrong;
    }
    doctor::ProcessorWords words;
    if (const auto error = doctor::read_processor(text, words)) {
        return told(options.cpu, *error);
    }
    doctor::apply(words, processor.description);
    processor.exact = true;
    processor.source = "from " + options.cpu + ", " + std::to_string(words.size()) + " values";
    return "";
}

int run(const Options &options) {
    doctor::Processor processor;
    std::string text;
    std::string wrong = find_processor(options, processor);
    if (wrong.empty()) {
        wrong = read_file(options.file, text);
    }
    if (!wrong.empty()) {
        return complain(wrong);
    }
    const doctor::Reading reading = doctor::read_dumps(text, options.read);
    if (reading.error) {
        return complain(told(options.file, *reading.error));
    }
    bool broken = false;
    bool lacking = false;
    if (options.json) {
        std::cout << "[";
    }
    for (std::size_t i = 0; i < reading.dumps.size(); ++i) {
        const doctor::Examined examined = doctor::examine(reading.dumps[i], processor);
        if (options.json) {
            std::cout << (i != 0 ? ",\n" : "");
            doctor::print_json(std::cout, examined);
        } else {
            std::cout << (i != 0 ? "\n\n" : "");
            doctor::print_text(std::cout, examined, options.undecided);
        }
        broken = broken || examined.count(doctor::Class::broken) != 0 ||
                 examined.count(doctor::Class::suspicious) != 0 ||
                 (examined.observed.failed() && !examined.possible.empty());
        lacking = lacking || !reading.dumps[i].missing.empty();
    }
    if (options.json) {
        std::cout << "]\n";
    }
    std::cout.flush();
    if (!std::cout) {
        return complain("the report could not be written");
    }
    return broken ? findings : lacking ? incomplete : sound;
}

} // namespace

int main(int count, char **words) {
    Options options;
    const std::string wrong = read_options(count, words, options);
    if (!wrong.empty()) {
        return complain(wrong);
    }
    if (options.help) {
        std::cout << usage;
        return sound;
    }
    if (options.rules) {
        print_rules();
        return sound;
    }
    if (options.print_cpu) {
        doctor::Processor processor;
        if (const auto error = doctor::this_machine(processor)) {
            return complain(*error);
        }
        doctor::print_processor(std::cout, processor.description);
        return sound;
    }
    return run(options);
}
