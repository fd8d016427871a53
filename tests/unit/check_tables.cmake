# SPDX-License-Identifier: GPL-2.0-only
#
# cmake -DPROGRAM=vtx-tables -P check_tables.cmake: what the program prints is JSON, and each table
# in it has rows with the keys that the book reads.

execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE json COMMAND_ERROR_IS_FATAL ANY)

function(expect_row key)
    foreach(name IN LISTS ARGN)
        string(JSON value GET "${json}" ${key} 0 ${name})
    endforeach()
endfunction()

expect_row(fields encoding name identifier width kind index)
expect_row(exit_reasons number name identifier)
expect_row(entry_failures number text identifier)
expect_row(instruction_errors number text identifier)
expect_row(msrs number name)

string(JSON words LENGTH "${json}" control_words)
math(EXPR last "${words} - 1")
foreach(i RANGE ${last})
    string(JSON word MEMBER "${json}" control_words ${i})
    foreach(key name bits)
        string(JSON value GET "${json}" control_words ${word} ${key})
    endforeach()
    foreach(key bit name identifier)
        string(JSON value GET "${json}" control_words ${word} controls 0 ${key})
    endforeach()
endforeach()
