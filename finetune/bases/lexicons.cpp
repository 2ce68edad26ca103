// Word tables of robots, games, vehicles, Korean plants and plain facts.
#include "finetune/bases/lexicon.h"

namespace finetune {

const char* const kRobotLexicon = R"(
colour: red | blue | pink | green | yellow | black | white | orange | purple | grey
thing: block | cube | box | cup | ball | bottle | tool | tray | ring | lid
slide_verb: push | slide | move | shove | sweep | nudge
lift_verb: lift | pick up | grasp | grab | take | raise
place: table | shelf | drawer | cabinet | bin | pallet | conveyor | rack | bench | basket
skill_push_left: {slide_verb} the {colour} {thing} to the left | {slide_verb} the {colour} {thing} left | go and {slide_verb} the {colour} {thing} leftwards | {slide_verb} left the {colour} {thing}
skill_push_right: {slide_verb} the {colour} {thing} to the right | {slide_verb} the {colour} {thing} right | {slide_verb} right the {colour} {thing} | go and {slide_verb} the {colour} {thing} rightwards
skill_rotate_left: rotate the {colour} {thing} to the left | turn the {colour} {thing} left by {#30-90} degrees | rotate the {colour} {thing} {#30-120} degrees counterclockwise | twist left the {colour} {thing}
skill_rotate_right: rotate the {colour} {thing} to the right | turn the {colour} {thing} right by {#30-90} degrees | rotate the {colour} {thing} {#30-120} degrees clockwise | twist right the {colour} {thing}
skill_lift_table: {lift_verb} the {colour} {thing} from the table | {lift_verb} the {colour} {thing} lying on the table | {lift_verb} the {colour} {thing} that is on the table
skill_lift_shelf: {lift_verb} the {colour} {thing} from the shelf | {lift_verb} the {colour} {thing} on the shelf | {lift_verb} the {colour} {thing} out of the cabinet
skill_lift_drawer: {lift_verb} the {colour} {thing} from the drawer | {lift_verb} the {colour} {thing} lying in the drawer | take the {colour} {thing} out of the drawer
skill_place_drawer: put the {thing} in the drawer | place the {thing} into the drawer | store what you hold in the drawer | drop the {colour} {thing} in the drawer
skill_place_shelf: put the {thing} on the shelf | place the grasped {thing} in the cabinet | store the {colour} {thing} in the shelf
skill_push_in_drawer: {slide_verb} the {thing} so that it falls into the drawer | {slide_verb} the {colour} {thing} into the drawer
skill_open_drawer: open the drawer | pull the handle of the drawer | pull the drawer open | grasp the drawer handle and pull
skill_close_drawer: close the drawer | push the handle of the drawer | shut the drawer | push the drawer in
skill_slider_left: move the door to the left | slide the door all the way left | push the sliding door to the left side | grasp the slider and move it left
skill_slider_right: move the door to the right | slide the door all the way right | push the sliding door to the right side | grasp the slider and move it right
skill_light_on: turn on the light bulb | toggle the switch to turn on the bulb | move the switch up to light the {colour} bulb | switch the lamp on
skill_light_off: turn off the light bulb | toggle the switch to turn off the bulb | move the switch down to put out the {colour} bulb | switch the lamp off
skill_led_on: press the button to turn on the led | turn on the {colour} led | push the button so that the led lights
skill_led_off: press the button to turn off the led | turn off the {colour} led | push the button so that the led goes dark
skill_stack: stack the {thing}s on top of each other | place the {colour} {thing} on top of the {colour} {thing} | put what you hold on another {thing}
skill_unstack: collapse the stacked {thing}s | take off the upper {thing} of the stack | remove the top {thing} | unstack the {thing}s
home_object: kettle | television | lamp | washing machine | book | plate | towel | fridge | cup | chair | phone | computer | curtain | oven | broom | shirt | bread | soap | radio | window
room: kitchen | living room | bedroom | bathroom | hall | workshop | office | storage room | garage
ranges: front clear {#1-5.2} | left wall {#0-3.2} | right wall {#0-3.2} | rear {#0-4.2}
)";

const char* const kGameLexicon = R"(
place_kind: village | forest | castle | cave | tavern | harbour | desert | swamp | temple | dungeon | market | mountain | farm | ship | tower | graveyard
detail_village: chickens run between low houses with thatched roofs | smoke rises from a row of cottages around a well | children play on the square before the mill
detail_forest: tall pines hide the sky and moss covers every stone | a narrow path winds between old oaks | birds call from the branches and ferns grow knee high
detail_castle: banners hang from the stone walls of the great hall | guards in mail stand beside the throne | a spiral stair leads to the battlements
detail_cave: water drips from the rock into the darkness | bats cling to the ceiling and the air is damp | crystals glitter in the torch light between stalactites
detail_tavern: a barmaid carries mugs of ale between crowded tables | a fire burns beside the bar and somebody plays a lute | the smell of stew and beer fills the room
detail_harbour: ropes creak as boats rise with the tide | gulls circle over nets and barrels of fish on the pier | sailors load crates at the dock
detail_desert: dunes of hot sand reach to the horizon | the sun burns on dry rocks and bleached bones | a caravan of camels rests by a palm
detail_swamp: mud sucks at your boots and frogs croak in the reeds | fog hangs over green stagnant water | mosquitoes swarm between rotten trunks
detail_temple: candles burn on the altar before a golden statue | priests in robes murmur prayers below a painted dome | incense drifts between marble columns
detail_dungeon: rusty chains hang in a row of cells | a prisoner whispers behind the iron bars | the stone floor is wet and rats run along the wall
detail_market: merchants shout prices over stalls of fruit and cloth | spices and silk are piled beneath bright awnings | a crowd bargains with traders
detail_mountain: snow lies on the peak and the wind howls along the ridge | a goat path climbs the steep cliff | eagles nest above the pass
detail_farm: cows graze beside a red barn | rows of wheat and a scarecrow stand behind the fence | a plough leans against the pig sty
detail_ship: sails snap above a deck of salted planks | the captain stands at the wheel while the hull rolls | hammocks swing below deck among cannons
detail_tower: a wizard keeps scrolls and potions on the top floor | windows look far over the land from this height | stairs wind up past dusty shelves of spell books
detail_graveyard: crooked headstones stand in the mist | a raven sits on an open tomb | the sexton digs beneath a dead tree
creature: wolf | dragon | goblin | rat | spider | owl | bear | horse | snake | troll | fox | crow
job: knight | blacksmith | queen | thief | farmer | priest | merchant | wizard | guard | cook | sailor | hunter | bard | beggar | healer
creature_line: I hunt at night and sleep in the {place_kind} | I have sharp teeth and fear nothing but fire | I guard my young in a hidden nest | I crawl through the dark to find food | I growl at strangers
job_line: I have served in the {place_kind} since I was young | I earn my coin as a {job} | I work from dawn to dusk for my family | I pray for peace, but I keep a blade | people come to me for help and advice
item: sword | shield | lamp | rope | potion | key | map | helmet | coin | bow | amulet | scroll | torch | ring
)";

const char* const kVehicleLexicon = R"(
system: service brake | steering | fuel system | air bag | seat belt | electrical system | power train | suspension | tyre | headlight | back over camera | engine cooling | child seat anchor | door latch | wiper | battery pack | instrument cluster
fault: may leak | may crack | may detach while driving | may lose function | may overheat | may short circuit | may deploy without a crash | may not deploy in a crash | may corrode | may fracture | may display a wrong value | may not latch
risk: a crash | a fire | an injury | a loss of control | a vehicle stall in traffic | reduced visibility | a roll-away
remedy: dealers will replace the part free of charge | dealers will update the software | dealers will inspect the assembly and replace it as needed | the cars will be bought back | an over-the-air update will be sent
signal: vehicle speed;km/h;0;200 | engine speed;rpm;700;6000 | coolant temperature;degC;20;120 | throttle position;%;0;100 | battery voltage;V;11;15 | fuel level;%;0;100 | brake pressure;bar;0;120 | steering angle;deg;-400;400 | yaw rate;deg/s;-40;40
 | tyre pressure;kPa;150;320 | manifold pressure;kPa;20;110 | engine load;%;5;100 | ambient temperature;degC;-20;45 | odometer;km;1000;250000 | oil temperature;degC;40;140 | state of charge;%;5;100 | torque;Nm;-50;400
machine_signal: air temperature;K;295;305 | process temperature;K;305;315 | rotational speed;rpm;1200;2800 | torque;Nm;5;75 | tool wear;min;0;250 | vibration;mm/s;0;12 | spindle load;%;5;110 | flow;l/min;0;80 | bearing temperature;degC;20;110
 | current;A;1;60 | pressure;bar;0;12 | humidity;%;20;90 | power;kW;1;90 | position;mm;0;800
)";

const char* const kKoreanLexicon = R"(
설비: 펌프 | 압축기 | 컨베이어 | 프레스 | 감속기 | 송풍기 | 보일러 | 냉동기 | 크레인 | 로봇 | 스핀들 | 믹서 | 사출기 | 포장기 | 발전기 | 터빈 | 모터 | 유압 유닛 | 냉각탑 | 열교환기 | 굴착기 | 지게차 | 용접기 | 도장 부스
부품: 베어링 | 씰 | 밸브 | 호스 | 벨트 | 체인 | 커플링 | 축 | 기어 | 임펠러 | 필터 | 피스톤 | 실린더 | 센서 | 스위치 | 릴레이 | 퓨즈 | 케이블 | 커넥터 | 볼트 | 핀 | 브레이크 | 클러치 | 롤러 | 배터리 | 팬 | 램프 | 노즐 | 가스켓
유체: 오일 | 냉각수 | 유압유 | 물 | 공기 | 연료 | 증기 | 그리스
조치: 교체함 | 수리함 | 점검함 | 청소함 | 조정함 | 조임 | 용접 보수함 | 재조립함
ko_ELE: {부품} 전원 안 들어옴 | {부품} 단선 | {부품} 합선 | {설비} 누전 | 퓨즈 끊어짐 | {부품} 배선 탐 | 배터리 방전 | 차단기 떨어짐
ko_LEK: {부품}에서 {유체} 샘 | {유체} 누유 | {부품} {유체} 누설 | {설비} 밑에 {유체} 고임 | {부품} 씰 터져 {유체} 흐름
ko_VIB: {설비} 진동 심함 | {부품} 떨림 | {설비} 흔들림 큼 | {부품} 불균형으로 진동
ko_NOI: {부품} 이상 소음 | {설비}에서 쇳소리 | {부품} 삐걱거림 | {설비} 소리 큼
ko_OHE: {설비} 과열 | {부품} 뜨거움 | {부품} 온도 상승 | {설비} 온도 높음 알람 | {부품} 타는 냄새
ko_BRD: {부품} 부러짐 | {부품} 파손 | {부품} 깨짐 | {부품} 고착되어 멈춤
ko_STD: {부품} 균열 | {부품} 휨 | {부품} 마모 | {부품} 헐거움 | {부품} 찌그러짐
ko_PLU: {부품} 막힘 | {유체} 필터 막힘 | 배관 막혀 흐름 없음 | {부품}에 이물 낌
ko_FTS: {설비} 기동 안 됨 | {설비} 시동 안 걸림 | 아침에 {설비} 안 켜짐
ko_UST: {설비} 갑자기 멈춤 | {설비} 저절로 꺼짐 | 운전 중 {설비} 정지
ko_FTF: {부품} 작동 안 함 | {부품} 안 움직임 | {부품} 반응 없음 | {부품} 동작 불량
ko_LOO: {설비} 힘 없음 | {유체} 압력 낮음 | {설비} 느림 | 유량 부족
ko_AIR: {부품} 지시값 이상 | 계기 값 틀림 | {부품} 오경보 | 표시창 안 나옴
ko_CON: {유체} 오염 | {유체}에 물 섞임 | {부품}에 먼지 많음
ko_COR: {부품} 녹슴 | {부품} 부식 | {부품} 녹으로 굳음
ko_SER: {유체} 보충 | {부품} 청소 필요 | {설비} 정기 점검 | {부품} 급유
ko_line: {설비} {#1-30}호기 | {#1-9}라인 {설비} | {설비}-{#100-999}
)";

const char* const kGeneralLexicon = R"(
site: Ulsan | Busan | Incheon | Gwangju | Leipzig | Turin | Osaka | Austin | Perth | Lyon | Pune | Gdansk
name: Kim | Lee | Park | Choi | Jung | Maria | Tom | Anna | Ravi | Yuki | Jonas | Chen | Omar | Lena | Ivan
material: steel | aluminium | copper | plastic | glass | rubber | paper | cement | wood | brass
shift: early shift | late shift | night shift | day shift
log_level: INFO | WARN | ERROR | DEBUG
)";

}  // namespace finetune
