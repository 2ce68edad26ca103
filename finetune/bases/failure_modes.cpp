// Maintenance text: for each failure mode, the ways in which people on a shop floor and in a pit write it down.
// List names fm_<code> belong to failure_modes(); {unit} is the machine, {part} a part of it.
#include "finetune/bases/lexicon.h"

namespace finetune {

const char* const kMaintenanceLexicon = R"(
unit: pump | compressor | conveyor | excavator | loader | grader | dozer | haul truck | forklift | lathe | milling machine | press | gearbox | fan | blower | boiler
 | chiller | crane | hoist | robot arm | spindle | mixer | crusher | screen | generator | turbine | motor | engine | hydraulic unit | cooling tower | heat exchanger | furnace
 | injection moulder | packaging line | palletiser | welding robot | paint booth | drill rig | shovel | water cart | service truck | agitator | centrifuge | extruder | filter press
part: bearing | seal | valve | hose | belt | chain | coupling | shaft | gear | impeller | filter | piston | cylinder | rotor | stator | sensor | switch | relay | fuse | cable
 | connector | bracket | guard | bolt | bush | pin | track | wheel | tyre | radiator | alternator | starter | battery | injector | turbo | brake | clutch | pulley | roller | bucket
 | blade | boom | hydraulic cylinder | hydraulic pump | swing motor | fuel tank | water pump | oil cooler | transmission | steering cylinder | cutting edge | hinge | latch | mirror
 | window | seat | door | ladder | handrail | light | wiper | horn | display | joystick | pedal | air conditioner | grease line | manifold | gasket | o-ring | solenoid | thermostat
fluid: oil | water | coolant | hydraulic oil | fuel | grease | air | steam | gas | diesel | refrigerant | brake fluid | gear oil
side: left | right | front | rear | upper | lower | inner | outer | no 1 | no 2 | drive end | non drive end | left hand | right hand
action: replace | repair | check | inspect | adjust | clean | tighten | reseal | rebuild | weld | change out | test | refit | fix | service | remove
person: operator | fitter | driver | shift crew | electrician | technician | night shift | supervisor
fm_ELE: {part} has an electrical fault | no power to {part} | {part} shorted out | {part} wiring burnt | blown fuse on {part} | {side} {part} wire broken | flat battery | battery not charging | earth fault on {unit}
 | {part} circuit open | {part} not charging | breaker trips when {unit} starts | harness rubbed through at {part} | loose terminal on {part} | corroded plug on {part} | lights out on {side} side | lights not working
 | {part} relay sticking | alternator light on | dead short in {part} loom | replace globe in {side} light | voltage low at {part} | {unit} has no electrics | flickering lights | {part} cable damaged | insulation failed in {part}
fm_LEK: {part} leaking | {fluid} leak at {part} | {side} {part} leaking {fluid} | {part} weeping {fluid} | {fluid} dripping from {part} | {part} hose split, losing {fluid} | {fluid} on the ground under {unit} | seal gone on {part}
 | {part} seal blown | losing {fluid} | fix {fluid} leak | {fluid} coming out of {part} | puddle of {fluid} below {part} | {unit} uses a lot of {fluid} | gasket blown at {part} | burst {part} hose | pinhole in {fluid} line | {fluid} seeping past {part}
 | reseal {part} | {fluid} spraying from {part} fitting | o-ring passing {fluid} | {unit} leaks when parked
fm_VIB: {unit} vibrating | excessive vibration at {part} | {part} shaking | {part} out of balance | {unit} shudders under load | vibration alarm on {part} | {part} wobbling | {unit} shakes at high speed | {part} misaligned and vibrating
 | vibration {#8-25.1} mm/s on {side} {part} | {unit} judders when braking | imbalance in {part} | feels rough at {#900-3000} rpm
fm_NOI: {part} noisy | strange noise from {part} | {unit} squealing | {part} knocking | grinding noise in {part} | {unit} rattles | loud bang from {part} | {side} {part} screeching | whining noise at {part} | {part} humming loudly
 | clunking sound when turning | noise in {side} {part} | rattle near {part} | hissing sound at {part}
fm_OHE: {unit} overheating | {part} running hot | {part} too hot to touch | engine temperature high | {unit} boiled | hot {part} smell | high temperature alarm on {part} | {part} at {#95-140} degrees | {fluid} temperature too high
 | {part} gets hot after {#5-40} minutes | radiator not cooling | {unit} cut back on temperature | burning smell, {part} hot
fm_BRD: {part} broken | {part} snapped | {part} failed | {unit} broken down | {part} seized | {part} collapsed | {side} {part} came off | {part} sheared | {unit} stopped dead, {part} in pieces | {part} blown up | {part} failure
 | {part} destroyed | catastrophic failure of {part} | {part} fell off | {part} jammed solid | {unit} dead, {part} gone | broken {side} {part} | engine failed | {part} stripped
fm_STD: {part} cracked | crack in {side} {part} | weld cracked on {part} | {part} bent | frame of {unit} cracked | {part} worn out | {part} loose | loose bolts on {part} | {side} {part} missing | {part} worn through | hole in {part}
 | {part} dented | mount of {part} broken | {part} damaged | worn {part} | torn {part} | rusted through {part} | {part} cut | replace missing bolts on {part} | crack weld {part} | {part} has play
fm_PLU: {part} blocked | {part} choked | filter clogged at {part} | {unit} plugged with dirt | {part} line blocked | {fluid} filter full | radiator blocked with dust | no flow, {part} plugged | nozzle of {part} blocked | strainer choked | drain blocked
 | chute blocked on {unit} | grease line plugged
fm_FTS: {unit} will not start | {unit} not starting | {unit} does not crank | hard to start | no start this morning | {part} clicks but {unit} stays dead | {unit} fails to start | starter turns, {unit} does not fire | won't start cold
 | {person} cannot start {unit} | start sequence fails at {part} | {unit} would not start after lunch
fm_STP: {unit} will not stop | {part} does not shut off | {unit} keeps running after stop | fails to stop on demand | stop button has no effect on {unit} | {part} runs on
fm_UST: {unit} stops by itself | {unit} cuts out | {unit} shut down without reason | engine stalls | {unit} tripped | {unit} dies when idling | spurious trip of {unit} | {unit} stops after {#2-50} minutes | keeps stalling | {unit} switched itself off
 | unexpected shutdown of {unit}
fm_FTF: {part} not working | {part} does not work | {part} inoperative | {part} has no function | {part} won't move | {unit} does nothing when {part} is used | {part} not operating | no {part} function | {part} doesn't respond | {part} stays off
 | {part} won't engage | {part} u/s | {part} unserviceable | {part} does not turn | {side} {part} not going up | {part} stuck | horn does not sound | {part} will not lift
fm_FTC: {part} will not close | {part} stays open | {part} fails to close | valve does not shut | {side} door won't latch | cannot close {part} | gate stuck open
fm_FTO: {part} will not open | {part} stays shut | valve stuck closed | {part} fails to open | cannot open {side} {part} | door jammed shut | gate does not open
fm_LOO: {unit} has low power | low pressure at {part} | {unit} slow | {part} weak | output of {unit} too low | low {fluid} flow | {unit} down on power | slow hydraulics | poor performance of {unit} | {unit} only makes {#30-80} percent
 | {part} slow to move | lacks power uphill | low {fluid} pressure at {part} | brakes weak
fm_HIO: {unit} runs too fast | pressure too high at {part} | output of {unit} too high | {part} overspeeds | flow above set point at {part} | {unit} delivers too much {fluid} | high {fluid} pressure at {part}
fm_ERO: {unit} surges | {part} hunting | speed goes up and down | {unit} erratic | output of {unit} fluctuates | {part} jerks | unstable pressure at {part} | {unit} runs rough | {part} works on and off | intermittent {part} | jerky movement of {part}
fm_AIR: {part} gauge reads wrong | {part} sensor reads {#150-900} when cold | false alarm from {part} | fuel gauge shows full all the time | no reading on {part} | warning light stays on | {part} display blank | faulty indication of {part}
 | {part} transmitter drifted | fault code {#100-999} on display | warning alarm on {part} | {part} sensor fault | meter not counting | low {fluid} alarm but level is good
fm_CTL: {part} control fault | no signal from {part} | controller of {unit} lost contact | plc shows {part} missing | {unit} ignores commands | remote control of {part} fails | network lost to {part} | {unit} control loop fails
fm_PDE: {part} out of range | {fluid} level drops | {part} out of adjustment | {part} needs adjusting | {fluid} pressure differs from set point | {part} drifts from set point | {part} out of alignment | tension of {part} wrong | tyre pressure low | {part} out of calibration | adjust {part}
fm_CON: {fluid} contaminated | water in {fluid} | dirt in {fluid} tank | {fluid} milky | metal in {fluid} filter | {fluid} sample dirty | dust in {part} | diesel in oil | sand in {part} | {fluid} black and thick
fm_COR: {part} corroded | rust on {part} | {part} rusty | pitting on {part} | {part} eaten by corrosion | {part} rusted solid
fm_SER: {part} needs cleaning | top up {fluid} | service due on {unit} | {fluid} low | grease {part} | paint worn on {part} | decal missing on {part} | clean {part} | minor wear on {part} | {part} due for change out | tighten {part} | {unit} {#250-2000} hour service
 | replace {part} | change {part} | {action} {part} | lubricate {part} | fit new {part} | routine change of {fluid} | {part} change out | refit {part} cover
fm_HEA: {unit} not heating | heater stays cold | no heat at {part} | {unit} not cooling | air conditioner not cold | poor heat transfer in {unit} | cab too hot, no cold air | chiller outlet warm
fm_INL: {part} passing internally | internal leak in {part} | oil in the coolant of {unit} | {part} bypassing | {part} creeps down under load | cylinder bleeding down | valve passes when closed
)";

const std::vector<FailureMode>& failure_modes() {
  static const std::vector<FailureMode> kModes = {
      {"ELE", "Electrical", "전기 고장", "electrical"},
      {"LEK", "Leaking", "누설", "leak"},
      {"VIB", "Vibration", "진동", "vibration"},
      {"NOI", "Noise", "소음", "noise"},
      {"OHE", "Overheating", "과열", "overheating"},
      {"BRD", "Breakdown", "파손", "breakdown"},
      {"STD", "Structural deficiency", "구조 결함", "structural damage"},
      {"PLU", "Plugged / choked", "막힘", "blocked"},
      {"FTS", "Failure to start on demand", "기동 불량", "does not start"},
      {"STP", "Failure to stop on demand", "정지 불량", "does not stop"},
      {"UST", "Spurious stop", "오정지", "stops by itself"},
      {"FTF", "Failure to function", "작동 불량", "does not work"},
      {"FTC", "Failure to close", "닫힘 불량", "does not close"},
      {"FTO", "Failure to open", "열림 불량", "does not open"},
      {"LOO", "Low output", "출력 저하", "low output"},
      {"HIO", "High output", "출력 과다", "high output"},
      {"ERO", "Erratic output", "출력 불안정", "erratic"},
      {"AIR", "Abnormal instrument reading", "계기 이상", "wrong reading"},
      {"CTL", "Control / signal failure", "제어 신호 이상", "control fault"},
      {"PDE", "Parameter deviation", "설정값 이탈", "out of adjustment"},
      {"CON", "Contamination", "오염", "contamination"},
      {"COR", "Corrosion", "부식", "corrosion"},
      {"SER", "Minor in-service problems", "경미한 정비", "service"},
      {"HEA", "Insufficient heat transfer", "열전달 불량", "poor heat transfer"},
      {"INL", "Internal leakage", "내부 누설", "internal leak"}};
  return kModes;
}

}  // namespace finetune
