// SPDX-License-Identifier: GPL-2.0-only
// What libFuzzer calls: read a text as a dump and as a processor, examine what came of it, and
// print it both ways. Nothing may crash, hang or trip a sanitizer.
#include "doctor/cli/doctor.hpp"

#include <cstdlib>
#include <sstream>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char *>(data), size};
    const doctor::Processor processor = doctor::any_processor();
    const doctor::Reading reading = doctor::read_dumps(text);
    if (reading.error.has_value() != reading.dumps.empty()) {
        std::abort(); // an error, or dumps: one of the two
    }
    for (const doctor::Dump &dump : reading.dumps) {
        const doctor::Examined examined = doctor::examine(dump, processor);
        if (!dump.missing.empty() && examined.verdict.prediction.enters) {
            std::abort(); // what lacks lines is never sound
        }
        std::ostringstream out;
        doctor::print_text(out, examined, true);
        doctor::print_json(out, examined);
    }
    doctor::ProcessorWords words;
    if (!doctor::read_processor(text, words)) {
        doctor::Processor other = doctor::any_processor();
        doctor::apply(words, other.description);
    }
    return 0;
}
